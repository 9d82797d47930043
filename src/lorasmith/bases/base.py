"""A base model as parts. Shapes: B batch, C channels, H and W of latents or pixels, T tokens, D, P text widths."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lorasmith.bases.checkpoint import read_checkpoint
from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.families.family import Family
from lorasmith.bases.folders import Parts, read_folder, weight_files
from lorasmith.bases.framing import Framing, frame_whole
from lorasmith.bases.hardware import Use, choose_device, choose_dtype, skip_divisions, suit_to_cpu
from lorasmith.bases.hub import fetch_base, is_hub_id
from lorasmith.bases.pointwise import multiply_pointwise
from lorasmith.bases.precision import Precision, Weights
from lorasmith.bases.probe import probe_prediction
from lorasmith.bases.targets import TargetLayer, family_targets, norm_targets, text_prefixes
from lorasmith.bases.text.clip import ClipPromptEncoder, encode_one, encode_two
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.encoder import PromptEncoder, TextEncoder
from lorasmith.bases.text.options import PLAIN_TEXT, TextOptions
from lorasmith.diffusion.parametrisation import Parametrisation, Prediction, parametrisation_from_config
from lorasmith.errors import BaseError
from lorasmith.project import EMBEDDED


@dataclass(eq=False)
class Base:
    """A frozen base model in eval mode. Adapters patch its layers from outside and leave no trace (design.md 3).

    `folder` is where it lies: a diffusers folder or a checkpoint file. `targets` maps kohya's layer names, from the
    family's fixed tables, to the layers that an adapter may touch. `weights` is how the denoiser's and the text
    encoders' are kept in memory (`bases.compressed`).
    """

    name: str
    folder: Path
    family: Family
    denoiser: Any
    text_encoders: tuple[TextEncoder, ...]
    vae: Any
    parametrisation: Parametrisation
    resolution: int
    targets: Mapping[str, TargetLayer]
    weights: Weights = "full"
    _modules: dict[str, nn.Module] = field(default_factory=dict, repr=False)

    @cached_property
    def layers(self) -> Mapping[str, TargetLayer]:
        """`targets`, and after them the normalisation layers that belong to them."""
        norms = norm_targets(self.targets.values(), stability_names=self.family.name == "sdxl")
        return {**self.targets, **{target.name: target for target in norms}}

    def module(self, name: str) -> nn.Module:
        """The live layer of a target or a norm. Raises BaseError when the model lacks what its config promises."""
        if name not in self._modules:
            target = self.layers[name]
            owners = {"unet": self.denoiser} | {
                f"text_encoder{'' if i == 0 else '_2'}": encoder.root for i, encoder in enumerate(self.text_encoders)
            }
            path = target.path.removeprefix("text_model.") if target.part == "te" else target.path
            try:
                self._modules[name] = owners[target.owner].get_submodule(path)
            except AttributeError:
                raise BaseError(f"its {target.owner} has no layer {path}.", where=self.folder) from None
        return self._modules[name]

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of a row of latents, (C, H, W) or (C, F, H, W), for a picture of this width and height."""
        return (self.latent_channels, size[1] // self.vae_factor, size[0] // self.vae_factor)

    @property
    def latent_channels(self) -> int:
        return int(self.denoiser.config.in_channels)

    @property
    def vae_factor(self) -> int:
        """Pixels per latent along a side."""
        return _vae_factor(self.vae)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.denoiser.parameters()).dtype  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        return next(self.denoiser.parameters()).device  # type: ignore[no-any-return]

    def to(self, device: torch.device | str) -> Base:
        """Move every part; gives itself."""
        for part in (self.denoiser, self.vae, *(encoder.model for encoder in self.text_encoders)):
            part.to(device)
        return self

    @torch.no_grad()
    def encode_images(self, pixels_BCHW: Tensor) -> Tensor:
        """Pixels in [-1, 1] to scaled latents (B, C, H/8, W/8) in the denoiser's dtype; the distribution's mode."""
        encoded = self.vae.encode(pixels_BCHW.to(self.device, self.vae.dtype))
        z = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
        return (z - self._shift).mul(self._scale).to(self.dtype)  # type: ignore[no-any-return]

    @torch.no_grad()
    def decode_latents(self, z_BCHW: Tensor) -> Tensor:
        """Scaled latents to pixels (B, 3, 8H, 8W) in [-1, 1], clamped."""
        z = z_BCHW.to(self.device, self.vae.dtype) / self._scale + self._shift
        return self.vae.decode(z).sample.clamp(-1, 1)  # type: ignore[no-any-return]

    @property
    def _scale(self) -> float:
        return float(self.vae.config.scaling_factor)

    @property
    def _shift(self) -> float:
        return float(getattr(self.vae.config, "shift_factor", None) or 0.0)

    @cached_property
    def prompt_encoder(self) -> PromptEncoder:
        """How the family's text encoders read texts."""
        return ClipPromptEncoder(self.text_encoders, encode_two if len(self.text_encoders) == 2 else encode_one)

    def encode(self, texts: Sequence[str], options: TextOptions = PLAIN_TEXT) -> Context:
        """What the denoiser is told of each text: a row for each, differentiable. Raises ValueError for options that
        the text encoders cannot follow."""
        return self.prompt_encoder.encode(self.prompt_encoder.tokenize(texts, options), options)

    def denoise(
        self,
        x_t: Tensor,
        t: Tensor,
        context: Context,
        size: tuple[int, int] | None = None,
        framings: Sequence[Framing] | None = None,
    ) -> Tensor:
        """The denoiser's output for noisy latents (B, C, H, W) at times `t` (B,) in [0, 1].

        SDXL is told each row's framing; without `framings`, a picture that was made at its `size` (width, height), or
        at the latents' own.
        """
        added: dict[str, Tensor] | None = None
        if self.family.name == "sdxl":
            assert context.pooled is not None, "SDXL needs the pooled text"
            added = {"text_embeds": context.pooled, "time_ids": self._time_ids(x_t, size, framings)}
        moment = self.parametrisation.model_time(t).to(x_t.device)
        out = self.denoiser(
            x_t, moment, encoder_hidden_states=context.hidden, added_cond_kwargs=added, return_dict=False
        )
        return out[0]  # type: ignore[no-any-return]

    def _time_ids(self, x_t: Tensor, size: tuple[int, int] | None, framings: Sequence[Framing] | None = None) -> Tensor:
        """SDXL micro-conditioning (B, 6): original height and width, crop top and left, target height and width."""
        own = (x_t.shape[3] * self.vae_factor, x_t.shape[2] * self.vae_factor)
        rows = [each.time_ids for each in framings or [frame_whole(size or own)]]
        return torch.tensor(rows, dtype=x_t.dtype, device=x_t.device).expand(x_t.shape[0], 6)

    @cached_property
    def content_hash(self) -> str:
        """sha256 over the names and bytes of the weight files: two bases with one hash compute the same.

        Of a single file it is the file's own, as every other tool gives it.
        """
        digest = hashlib.sha256()
        if self.folder.is_file():
            with self.folder.open("rb") as opened:
                return hashlib.file_digest(opened, "sha256").hexdigest()
        for file in weight_files(self.folder):
            digest.update(file.relative_to(self.folder).as_posix().encode())
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        return digest.hexdigest()


def load_base(
    name_or_path: str | Path,
    dtype: torch.dtype = torch.float32,
    prediction: Prediction | None = None,
    weights: Weights = "full",
) -> Base:
    """Load "doodle" (the embedded base), a single-file checkpoint, a diffusers folder, or a base by its hub id.

    What it predicts is taken from its own configuration, marks or metadata; where a checkpoint says nothing, one pass
    through it tells. `prediction` overrides both. `weights` other than full are kept in a byte each and computed with
    in `dtype`. Raises BaseError.
    """
    embedded = str(name_or_path) == EMBEDDED
    path = doodle_folder() if embedded else _locate(name_or_path)
    if path.is_file():
        parts, told = read_checkpoint(path, dtype, weights)
        known = prediction or told
    else:
        parts = read_folder(path, dtype, weights)
        known = prediction or parts.schedule_config.get("prediction_type", "epsilon")
    skip_divisions(parts.denoiser)
    multiply_pointwise(parts.denoiser)
    base = _assembled(EMBEDDED if embedded else _name(name_or_path, path), path, parts)
    base.weights = weights
    if known is None:
        known = probe_prediction(base)
    config = dict(parts.schedule_config) | {"prediction_type": known}
    if path.is_file() and parts.family.name == "sdxl" and known == "v_prediction":
        config["rescale_betas_zero_snr"] = True  # as all SDXL models that predict velocity are trained
    base.parametrisation = parametrisation_from_config(config)
    return base


def open_base(
    name_or_path: str | Path,
    precision: Precision = "auto",
    use: Use = "drawing",
    prediction: Prediction | None = None,
    weights: Weights = "full",
) -> Base:
    """`load_base`, on the GPU where there is one, in the numbers that suit the use (`hardware.choose_dtype`)."""
    device = choose_device()
    dtype = choose_dtype(precision, device, use)
    base = load_base(name_or_path, dtype, prediction, weights).to(device)
    if device.type == "cpu" and dtype != torch.float32:
        suit_to_cpu(base.denoiser)
    return base


def _locate(name_or_path: str | Path) -> Path:
    """Where a base lies: a path as it is, else a hub id, fetched when needed."""
    path = Path(name_or_path).expanduser()
    if not path.exists() and isinstance(name_or_path, str) and is_hub_id(name_or_path):
        return fetch_base(name_or_path)
    return path


def _name(name_or_path: str | Path, path: Path) -> str:
    """What a file or folder is called; a base from the hub by its repository, not by the cache's folder."""
    if isinstance(name_or_path, str) and path != Path(name_or_path).expanduser():
        return name_or_path.split("/")[1]
    return path.stem if path.is_file() else path.resolve().name


def _assembled(name: str, path: Path, parts: Parts) -> Base:
    depths = [model.config.num_hidden_layers for _, model, _ in parts.text]
    return Base(
        name=name,
        folder=path,
        family=parts.family,
        denoiser=parts.denoiser,
        text_encoders=tuple(
            TextEncoder(model, tokenizer, prefix)
            for (_, model, tokenizer), prefix in zip(parts.text, text_prefixes(parts.family.name), strict=True)
        ),
        vae=parts.vae,
        parametrisation=parametrisation_from_config(parts.schedule_config),
        resolution=int(parts.denoiser.config.sample_size) * _vae_factor(parts.vae),
        targets=family_targets(parts.family.name, parts.denoiser.config, depths),
    )


def _vae_factor(vae: Any) -> int:
    return int(2 ** (len(vae.config.block_out_channels) - 1))
