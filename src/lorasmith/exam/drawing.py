"""Who draws the answers: rows of (prompt, seed, adapters, strengths) in, pictures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lorasmith.adapters.catalogue import name_files
from lorasmith.events import finish

if TYPE_CHECKING:
    from PIL.Image import Image

    from lorasmith.bases.base import Base
    from lorasmith.diffusion.parametrisation import Prediction
    from lorasmith.exam.settings import ExamTable

#: Pictures of one batch. Adapter rows and base rows share batches: the bank gives every row its own strengths.
BATCH = 16


@dataclass(frozen=True)
class Row:
    """One picture to draw; `adapter` None means the bare base, `steps` and `cfg` None the exam's. `beside` are other
    adapters with their strengths (stacking), `apart` such as are told words of their own (`prompts.networks`)."""

    prompt: str
    seed: int
    adapter: Path | None
    strength: float = 1.0
    steps: int | None = None
    beside: tuple[tuple[Path, float], ...] = ()
    apart: tuple[tuple[Path, float, str], ...] = ()
    cfg: float | None = None


class Artist(Protocol):
    """Draws rows, in their order; develops the training images."""

    def draw(self, rows: Sequence[Row]) -> list[Image]: ...

    def develop(self, images: Sequence[Image]) -> list[Image]:
        """The images as the base could draw them at best, at the exam's size: so that nobody tells a training image
        from a drawn one by its grain."""
        ...


def exam_base(name: str, settings: ExamTable, prediction: Prediction | None = None) -> Base:
    """The base as the exam draws on it: in its precision and weights, so many blocks swapped. Raises BaseError."""
    from lorasmith.bases.base import open_base

    return open_base(name, settings.precision, "exam", prediction, settings.weights, settings.blocks_to_swap)


class PipelineArtist:
    """Draws with the product's own pipeline. `files`: every adapter that a row may name."""

    def __init__(self, base: Base, files: Sequence[Path], settings: ExamTable, clip_skip: int = 1) -> None:
        from lorasmith.adapters.cache import AdapterCache
        from lorasmith.generation.pipeline import Pipeline

        self._names = dict(zip(files, name_files(files), strict=True))
        self._settings = settings
        self._clip_skip = clip_skip
        self._base = base
        self._pipeline = Pipeline(base, AdapterCache(files), BATCH, advises=False)

    def draw(self, rows: Sequence[Row]) -> list[Image]:
        from lorasmith.generation.spec import PictureSpec

        chosen = self._settings
        specs = [
            PictureSpec(
                prompt=self._with_networks(row),
                seed=row.seed,
                width=chosen.side,
                height=chosen.side,
                steps=row.steps or chosen.steps,
                cfg=chosen.cfg if row.cfg is None else row.cfg,
                sampler=chosen.sampler,
                clip_skip=self._clip_skip,
            )
            for row in rows
        ]
        return [picture.image for picture in finish(self._pipeline.draw(specs))]

    def develop(self, images: Sequence[Image]) -> list[Image]:
        """Through the base's autoencoder. A long image loses its ends, more of the lower one, as faces stand above."""
        import numpy as np
        import PIL.Image
        import PIL.ImageOps
        import torch

        from lorasmith.generation.pixels import to_image

        size, by = (self._settings.side or self._base.resolution,) * 2, PIL.Image.Resampling.LANCZOS
        developed: list[Image] = []
        for image in images:
            fitted = PIL.ImageOps.fit(image.convert("RGB"), size, by, centering=(0.5, 0.35))
            pixels = torch.from_numpy(np.asarray(fitted, np.float32).transpose(2, 0, 1) / 127.5 - 1)[None]
            developed.append(to_image(self._base.decode_latents(self._base.encode_images(pixels)).float()))
        return developed

    def _with_networks(self, row: Row) -> str:
        called = ((row.adapter, row.strength), *row.beside) if row.adapter else row.beside
        tags = [f"<lora:{self._names[file]}:{strength:g}>" for file, strength in called]
        tags += [f"<lora:{self._names[file]}:{strength:g}:apart={words}>" for file, strength, words in row.apart]
        return " ".join((row.prompt, *tags))
