"""What a family's bases cost: time as operations, memory as numbers that are counted (`benchmarks.memory_counts`).

Importable without torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class PerRow:
    """Bytes of a row in half precision: `pixel` for each pixel, and `row` whatever its size (of its text)."""

    pixel: float
    row: float = 0.0

    def of(self, pixels: float) -> float:
        """Of a row with so many pixels."""
        return self.pixel * pixels + self.row

    def wider(self, factor: float) -> PerRow:
        return PerRow(self.pixel * factor, self.row * factor)


@dataclass(frozen=True)
class Counts:
    """Numbers of parameters: of denoiser, text encoders and VAE; of these, those that are kept in a byte each on
    request; of the denoiser's `blocks`, which can be swapped.

    Of a LoRA step's activations: `kept` is all that the backward pass needs; where blocks compute theirs again,
    `inputs` is what is kept, and `largest` what one block has at once.
    """

    denoiser: float
    text: float
    vae: float
    small_denoiser: float
    small_text: float
    blocks: int
    block_weights: float
    kept: PerRow
    inputs: PerRow
    largest: PerRow = PerRow(0)

    def of_size(self, share: float, width: float) -> Counts:
        """Of a base with `share` times the weights, `width` times as wide."""
        return Counts(
            denoiser=self.denoiser * share,
            text=self.text * share,
            vae=self.vae * share,
            small_denoiser=self.small_denoiser * share,
            small_text=self.small_text * share,
            blocks=self.blocks,
            block_weights=self.block_weights * share,
            kept=self.kept.wider(width),
            inputs=self.inputs.wider(width),
            largest=self.largest.wider(width),
        )


_SMALLER, _LARGER = 0.4, 1.6
"""Of the family's own size: checkpoints without a text encoder or with a second VAE are no other models."""


COMPRESSED_SHARE = 0.9
"""Of a base's weights, those that are kept in a byte each on request: all but embeddings, ends and the VAE."""
CHECKPOINTED_SHARE = 0.25
"""About what is left of the activations when only the blocks' inputs are kept."""


@dataclass(frozen=True)
class FamilyCost:
    """Per family: floating-point operations of a forward pass per pixel; bytes of the float32 weights; bytes of
    saved activations per pixel and row; adapter parameters per rank of the denoiser and of the text encoders.

    In row-pixels (`recipe.estimates`): `fixed` is what a micro-batch costs however small it is, `text` a row through
    text encoders that learn, `encoding` a pixel through the VAE. `per_rank` is the share by which a rank more makes a
    row dearer; `conv` and `dora` are how much dearer convolutions of low rank and DoRA make it than in a larger model.
    `counted` is what memory holds in detail.
    """

    flops_per_pixel: float
    weight_bytes: float
    activation_bytes_per_pixel: float
    unet_per_rank: int
    text_per_rank: int
    fixed: float
    text: float
    encoding: float
    per_rank: float
    conv: float = 1.0
    dora: float = 1.0
    counted: Counts | None = None

    @property
    def counts(self) -> Counts:
        """What its parts and activations take, as counted; where nobody has, by its weights and a share of each."""
        if self.counted is not None:
            return self.counted
        numbers, pixel = self.weight_bytes / 4, self.activation_bytes_per_pixel / 2
        small = COMPRESSED_SHARE * numbers
        return Counts(numbers, 0, 0, small, 0, 0, 0, PerRow(pixel), PerRow(CHECKPOINTED_SHARE * pixel))

    def of_size(self, weights: int) -> FamilyCost:
        """The cost of a base of so many weights: of the family's shape, narrower or wider. Widths go with the square
        root; what is about as large as the family's own costs the same."""
        share = 4 * weights / self.weight_bytes
        if _SMALLER <= share <= _LARGER:
            return self
        width = math.sqrt(share)
        return replace(
            self,
            flops_per_pixel=self.flops_per_pixel * share,
            weight_bytes=self.weight_bytes * share,
            activation_bytes_per_pixel=self.activation_bytes_per_pixel * width,
            unet_per_rank=math.ceil(self.unet_per_rank * width),
            text_per_rank=math.ceil(self.text_per_rank * width),
            counted=None if self.counted is None else self.counted.of_size(share, width),
        )
