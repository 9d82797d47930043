"""Encoders: a picture in, numbers out that lie near each other for pictures that look alike.

- the tagger that judges (the embedded one, or any in ONNX), by the layer that its last ones read
- a folder with an ONNX image encoder (CLIP, SigLIP, DINO: `preprocessor_config.json` says how it wants pictures; CCIP:
  `meta.json` or nothing), or a hub id of one

Shapes: pixels_BCHW float32; a map of features (B, C, H, W), a row of tokens (B, T, D) or a vector (B, D) becomes one
row of numbers each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lorasmith.errors import ExamError, LorasmithError, first_line
from lorasmith.hub import is_hub_name
from lorasmith.tags.onnx_graph import feature_layer, with_output
from lorasmith.tags.onnx_sessions import open_session

if TYPE_CHECKING:
    from PIL.Image import Image

Vectors = NDArray[np.float32]

#: Where a folder of an encoder keeps its model, best first.
MODELS = ("model.onnx", "onnx/model.onnx", "vision_model.onnx", "onnx/vision_model.onnx", "model_feat.onnx")
#: Which of a model's outputs describes the whole picture, best first; else the first one.
OUTPUTS = ("image_embeds", "pooler_output", "embedding", "output", "last_hidden_state")
SETTINGS = "preprocessor_config.json"
#: OpenAI's CLIP, for a folder that says nothing.
CLIP_MEAN, CLIP_STD, CLIP_SIDE = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711), 224
#: CCIP's own preparation (imgutils): stretched to 384 bilinearly, CLIP's numbers.
CCIP_SIDE, BILINEAR, BICUBIC = 384, 2, 3
BATCH = 16
_ENCODER = "an encoder"


class Encoder(Protocol):
    """Describes pictures by numbers."""

    @property
    def name(self) -> str: ...
    def encode(self, images: Sequence[Image]) -> Vectors:
        """(images, numbers), in the order of the images, of any size."""
        ...


@dataclass(frozen=True)
class OnnxEncoder:
    """An ONNX model: `prepare` makes (C, H, W), or what it takes, of a picture; `output` is what is read."""

    name: str
    session: Any
    output: str
    prepare: Callable[[Image], Vectors]
    to_input: Callable[[Vectors], Vectors]
    where: Path

    def encode(self, images: Sequence[Image]) -> Vectors:
        """Raises ExamError when the model fails."""
        entry = self.session.get_inputs()[0].name
        parts: list[Vectors] = []
        for start in range(0, len(images), BATCH):
            batch = self.to_input(np.stack([self.prepare(image) for image in images[start : start + BATCH]]))
            try:
                found = np.asarray(self.session.run([self.output], {entry: batch})[0], np.float32)
            except Exception as fault:  # onnxruntime raises classes of its own
                raise ExamError(f"this encoder fails: {first_line(fault)}", where=self.where) from None
            parts.append(pool(found))
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


def pool(features: Vectors) -> Vectors:
    """One row a picture. A map: its means, deviations and the means of its quarters (a spatial pyramid, Lazebnik et al.
    2006), so that it counts what is there and roughly where. Tokens: the first, their means and deviations."""
    if features.ndim == 4:
        height, width = features.shape[2:]
        parts = [features.mean((2, 3)), features.std((2, 3))]
        if height > 1 and width > 1:
            top, left = height // 2, width // 2
            quarters = (
                features[:, :, rows, columns]
                for rows in (slice(top), slice(top, None))
                for columns in (slice(left), slice(left, None))
            )
            parts += [quarter.mean((2, 3)) for quarter in quarters]
        return np.concatenate(parts, axis=1)
    if features.ndim == 3:
        return np.concatenate([features[:, 0], features.mean(1), features.std(1)], axis=1)
    return features.reshape(len(features), -1)


def tagger_encoder(name: str | Path) -> OnnxEncoder:
    """The encoder inside a tagger: a folder, "doodle" for the embedded one, or a hub id. Raises ExamError."""
    from lorasmith.tags.tagger import open_tagger

    tagger = open_tagger(name)
    model = tagger.model.read_bytes()
    try:
        layer = feature_layer(model)
    except ValueError as fault:
        raise ExamError(f"{fault}.", where=tagger.model) from None
    if layer is None:
        raise ExamError("this tagger has no layer that describes a picture.", where=tagger.model)
    session = open_session(with_output(model, layer), tagger.model, _ENCODER, ExamError)
    return OnnxEncoder(f"{tagger.identity} inside", session, layer, tagger.prepare, tagger.to_input, tagger.model)


def open_encoder(name: str | Path) -> OnnxEncoder:
    """The encoder of a folder or hub id. Raises ExamError when there is none, or it cannot be loaded."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if not is_hub_name(str(name)):
            raise ExamError("no such folder of an encoder, and no hub id.", where=folder)
        folder = _fetch(str(name))
    model = next((folder / file for file in MODELS if (folder / file).is_file()), None)
    if model is None:
        raise ExamError("holds no encoder.", where=folder, hint=f"One of: {', '.join(MODELS)}.")
    session = open_session(model, model, _ENCODER, ExamError)
    names = [output.name for output in session.get_outputs()]
    output = next((known for known in OUTPUTS if known in names), names[0])
    wanted = _settings(folder)
    prepare = _preparation(wanted, session.get_inputs()[0].shape)
    return OnnxEncoder(
        folder.resolve().name if folder == Path(name) else str(name),
        session,
        output,
        prepare,
        lambda batch: batch,
        model,
    )


@dataclass(frozen=True)
class Preparation:
    """How an encoder wants a picture: the shorter side (or both, `stretched`) made `side`, the middle cut out, numbers
    in 0..1 less `mean` over `std`, RGB; `resample` is Pillow's number of a filter."""

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stretched: bool
    scale: float = 1 / 255
    resample: int = BICUBIC

    def __call__(self, image: Image) -> Vectors:
        import PIL.Image
        import PIL.ImageOps

        size, by = (self.side, self.side), PIL.Image.Resampling(self.resample)
        picture = image.convert("RGB")
        fitted = picture.resize(size, by) if self.stretched else PIL.ImageOps.fit(picture, size, by)
        pixels = np.asarray(fitted, np.float32) * np.float32(self.scale)
        normal = (pixels - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1), np.float32)


def _preparation(settings: Mapping[str, Any], shape: Sequence[Any]) -> Preparation:
    """What `preprocessor_config.json` says; a side that the model fixes goes first."""
    fixed = shape[-1] if isinstance(shape[-1], int) and shape[-1] > 3 else None
    if not settings:
        if fixed in (None, CCIP_SIDE):
            return Preparation(CCIP_SIDE, CLIP_MEAN, CLIP_STD, True, resample=BILINEAR)
        return Preparation(fixed, CLIP_MEAN, CLIP_STD, False)
    size = settings.get("crop_size") or settings.get("size") or {}
    side = size if isinstance(size, int) else size.get("height") or size.get("shortest_edge") or CLIP_SIDE
    normal = settings.get("do_normalize", True)
    mean = tuple(settings.get("image_mean") or CLIP_MEAN) if normal else (0.0, 0.0, 0.0)
    std = tuple(settings.get("image_std") or CLIP_STD) if normal else (1.0, 1.0, 1.0)
    scale = float(settings.get("rescale_factor", 1 / 255)) if settings.get("do_rescale", True) else 1.0
    stretched = not settings.get("do_center_crop", False)
    return Preparation(int(fixed or side), mean, std, stretched, scale, int(settings.get("resample", BICUBIC)))


def _settings(folder: Path) -> Mapping[str, Any]:
    file = folder / SETTINGS
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError as fault:
        raise ExamError(f"is no JSON: {first_line(fault)}", where=file) from None
    if not isinstance(found, dict):
        raise ExamError("holds no settings.", where=file)
    return found


def _fetch(name: str) -> Path:
    """The folder of a hub id's model, downloaded when it is not in the cache yet. Raises ExamError."""
    from huggingface_hub import snapshot_download

    wanted = [*MODELS, *(f"{model}_data" for model in MODELS), SETTINGS]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except LorasmithError:
        raise
    except Exception as fault:  # its HTTP client raises classes of its own
        raise ExamError(
            f"cannot be fetched from the hub: {first_line(fault)}",
            where=name,
            hint='Give a folder, or likeness = "none".',
        ) from None
