"""A base model as parts. Shapes: B batch, C channels, H and W of latents or pixels, T tokens, D, P text widths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lorasmith.bases.block_swap import BlockSwap, place_denoiser
from lorasmith.bases.detection import base_name, detect, find_base
from lorasmith.bases.families.family import Family, Structure
from lorasmith.bases.framing import Framing, frame_whole
from lorasmith.bases.hardware import Use, choose_device, choose_dtype, suit_to_cpu
from lorasmith.bases.hashing import hash_base
from lorasmith.bases.precision import Precision, Weights
from lorasmith.bases.probe import probe_prediction
from lorasmith.bases.targets import TargetLayer
from lorasmith.bases.text.away import AwayPromptEncoder
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.encoder import PromptEncoder, TextEncoder
from lorasmith.bases.text.options import PLAIN_TEXT, TextOptions
from lorasmith.diffusion.parametrisation import Parametrisation, Prediction
from lorasmith.diffusion.transfer import send
from lorasmith.errors import BaseError


@dataclass(eq=False)
class Base:
    """A frozen base model in eval mode. Adapters patch its layers from outside and leave no trace (design.md 3).

    `folder` is where it lies: a diffusers folder or a checkpoint file. `targets` maps kohya's layer names, from the
    family's fixed tables, to the layers that an adapter may touch. `weights` is how the denoiser's and the text
    encoders' are kept in memory (`bases.compressed`); `structure` is what the base was recognised by; `swap` moves some
    of the denoiser's blocks between the host's memory and the device.
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
    structure: Structure | None = None
    swap: BlockSwap | None = None
    _waiting: tuple[int, torch.device] | None = field(default=None, repr=False)
    _modules: dict[str, nn.Module] = field(default_factory=dict, repr=False)

    @cached_property
    def layers(self) -> Mapping[str, TargetLayer]:
        """`targets`, and after them the layers outside the blocks and the norms."""
        return self.family.layers(self.targets)

    def module(self, name: str) -> nn.Module:
        """The live layer of a target or a norm. Raises BaseError when the model lacks what its config promises."""
        if name not in self._modules:
            target = self.layers[name]
            texts = zip(self.family.text, self.text_encoders, strict=False)
            owners = {self.family.denoiser_part: self.denoiser} | {part.owner: encoder.model for part, encoder in texts}
            try:
                self._modules[name] = self.family.find_module(owners[target.owner], target)
            except AttributeError:
                raise BaseError(f"its {target.owner} has no layer {target.path}.", where=self.folder) from None
        return self._modules[name]

    @property
    def cfg(self) -> float:
        """The guidance that suits it."""
        return self.family.cfg if self.structure is None else self.family.guidance(self.structure)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What whoever trains on it should know before, a sentence each."""
        return () if self.structure is None else self.family.cautions(self.structure)

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of a row of latents, (C, H, W) or (C, F, H, W), for a picture of this width and height."""
        return self.family.latent_shape(self, size)

    @property
    def vae_factor(self) -> int:
        """Pixels per latent along a side."""
        return self.family.vae_factor(self)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.denoiser.parameters()).dtype  # type: ignore[no-any-return]

    @property
    def can_merge(self) -> bool:
        """Whether other weights may stand in its layers' places: not where they are kept compressed, or travel."""
        return self.weights == "full" and self.swap is None

    @property
    def _vae_dtype(self) -> torch.dtype:
        return next(self.vae.parameters()).dtype  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        if self._waiting is not None:
            return self._waiting[1]
        return next(self.denoiser.parameters()).device  # type: ignore[no-any-return]

    def to(self, device: torch.device | str) -> Base:
        """Move every part; gives itself."""
        self._move_rest(device)
        self.denoiser.to(device)
        return self

    def swap_blocks(self, count: int, device: torch.device) -> Base:
        """Move every part but `count` blocks of the denoiser, which come in their turn (`bases.block_swap`); gives
        itself. Raises BaseError where it has not so many."""
        self._move_rest(device)
        self.swap = place_denoiser(self.denoiser, self.family.blocks(self.denoiser), count, device, self.folder)
        return self

    def hold_denoiser(self, count: int, device: torch.device) -> Base:
        """Move every part but the denoiser, which `place_denoiser` sends after them, `count` of its blocks swapped;
        gives itself. So texts and pictures are read before its weights are there."""
        self._move_rest(device)
        self._waiting = (count, device)
        return self

    def place_denoiser(self) -> None:
        """Send the denoiser to the device where it waits for that. Raises BaseError where it has not so many blocks."""
        if self._waiting is None:
            return
        count, device = self._waiting
        self._waiting = None
        if count:
            self.swap = place_denoiser(self.denoiser, self.family.blocks(self.denoiser), count, device, self.folder)
        else:
            self.denoiser.to(device)

    def send_text_away(self) -> None:
        """The text encoders leave the device, and come back for as long as a text is encoded."""
        if not isinstance(self.prompt_encoder, AwayPromptEncoder):
            models = [encoder.model for encoder in self.text_encoders]
            self.prompt_encoder = AwayPromptEncoder(self.prompt_encoder, models, self.device)

    def _move_rest(self, device: torch.device | str) -> None:
        for part in (self.vae, *(encoder.model for encoder in self.text_encoders)):
            part.to(device)

    @torch.no_grad()
    def encode_images(self, pixels_BCHW: Tensor) -> Tensor:
        """Pixels in [-1, 1] to scaled latents (B, C, ..., H, W) in the denoiser's dtype; the distribution's mode."""
        return self.family.encode_images(self, pixels_BCHW.to(self.device, self._vae_dtype)).to(self.dtype)

    @torch.no_grad()
    def decode_latents(self, z_BCHW: Tensor) -> Tensor:
        """Scaled latents to pixels (B, 3, height, width) in [-1, 1], clamped."""
        return self.family.decode_latents(self, z_BCHW.to(self.device, self._vae_dtype)).clamp(-1, 1)

    @cached_property
    def prompt_encoder(self) -> PromptEncoder:
        """How the family's text encoders read texts."""
        return self.family.prompt_encoder(self.text_encoders)

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

        Some families are told each row's framing; without `framings`, a picture that was made at its `size` (width,
        height), or at the latents' own.
        """
        own = (x_t.shape[-1] * self.vae_factor, x_t.shape[-2] * self.vae_factor)
        moment = send(self.parametrisation.model_time(t), x_t.device)
        return self.family.denoise(self, x_t, moment, context, framings or [frame_whole(size or own)])

    @cached_property
    def content_hash(self) -> str:
        """sha256 over the names and bytes of the weight files: two bases with one hash compute the same.

        Of a single file it is the file's own, as every other tool gives it.
        """
        return hash_base(self.folder)


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
    path = find_base(name_or_path)
    structure = detect(path)
    family = structure.family
    parts = family.load(structure, dtype, weights)
    family.quicken(parts.denoiser)
    base = Base(
        name=base_name(name_or_path, path),
        folder=path,
        family=family,
        denoiser=parts.denoiser,
        text_encoders=tuple(
            TextEncoder(model, tokenizer, part.prefix)
            for (model, tokenizer), part in zip(parts.text, family.text, strict=True)
        ),
        vae=parts.vae,
        parametrisation=family.parametrisation(structure, parts.schedule, prediction or structure.prediction),
        resolution=family.side(parts),
        targets=structure.targets,
        weights=weights,
        structure=structure,
    )
    if family.objective == "noise" and prediction is None and structure.prediction is None:
        base.parametrisation = family.parametrisation(structure, parts.schedule, probe_prediction(base))
    return base


def open_base(
    name_or_path: str | Path,
    precision: Precision = "auto",
    use: Use = "drawing",
    prediction: Prediction | None = None,
    weights: Weights = "full",
    blocks_to_swap: int = 0,
    hold_denoiser: bool = False,
) -> Base:
    """`load_base`, on the GPU where there is one, in the numbers that suit the use (`hardware.choose_dtype`).

    `blocks_to_swap` blocks of the denoiser stay in the host's memory until their turn; on a CPU there is no other.
    `hold_denoiser`: on a GPU it waits for `Base.place_denoiser`."""
    device = choose_device()
    dtype = choose_dtype(precision, device, use)
    base = load_base(name_or_path, dtype, prediction, weights)
    if hold_denoiser and device.type != "cpu":
        return base.hold_denoiser(blocks_to_swap, device)
    if blocks_to_swap and device.type != "cpu":
        return base.swap_blocks(blocks_to_swap, device)
    base.to(device)
    if device.type == "cpu" and dtype != torch.float32:
        suit_to_cpu(base.denoiser)
    return base
