"""Dropout: parts of an adapter that are left out for a row or a pass while it learns. B rows, r ranks of a layer.

What is left out is a function of keys (of the row, of the pass, of the layer's name), so that one drawn twice, as
gradient checkpointing does, or on another machine's share of the rows, is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lorasmith.bases.targets import Part
from lorasmith.diffusion.noise import key_generator, key_number
from lorasmith.diffusion.transfer import send

TIMESTEPS = 1000


@dataclass(frozen=True, eq=False)
class Dropout:
    """Over the rows of one pass: timesteps `t` (B,), a key for each row in `seeds`, one for the pass in `key`.

    Shares in [0, 1): `network` of the values between the two factors, `rank` of a layer's ranks per row, `module` of
    the layers per pass (all as sd-scripts; what stays is scaled up, but for whole layers). `least` > 0: on the
    denoiser the ranks from floor((r - least) * (T - t) / T) + least on are left out (T-LoRA, Soboleva et al. 2025).
    `text_rows`: so many rows of a text encoder's pass, the chunks of its text, belong to each row; each draws its own.
    """

    t: Tensor
    seeds: tuple[int, ...]
    key: int
    network: float = 0.0
    rank: float = 0.0
    module: float = 0.0
    least: int = 0
    text_rows: int = 1

    def of(self, part: Part) -> Dropout:
        """What concerns the layers of this part."""
        return replace(self, least=0) if part == "te" else replace(self, text_rows=1)

    def skips(self, layer: str) -> bool:
        """Whether the whole layer is left out."""
        return bool(self.module) and key_number(self.key, layer, "module") < self.module * 2**64

    def ranks(self, layer: str, r: int) -> Tensor | None:
        """Factors (B, r) on the layer's ranks; None when none is touched."""
        factors: Tensor | None = None
        if self.least:
            least = min(self.least, r)
            live = (r - least) * (TIMESTEPS - self.t) // TIMESTEPS + least
            factors = (torch.arange(r) < live.unsqueeze(1)).float()
        if self.rank:
            kept = self._kept(layer, (r,), self.rank, "rank")
            factors = kept if factors is None else factors * kept
        return factors

    def values(self, layer: str, h: Tensor) -> Tensor:
        """The inner values h (B, ...) with a share of them left out."""
        if not self.network:
            return h
        return h * send(self._kept(layer, tuple(h.shape[1:]), self.network, "network"), h.device, h.dtype)

    def _kept(self, layer: str, shape: tuple[int, ...], share: float, word: str) -> Tensor:
        """(B, *shape) of 0 for what is left out, and of what keeps the mean for the rest."""
        # The first chunk draws what a text without others would.
        keys = [(seed, (chunk,) if chunk else ()) for seed in self.seeds for chunk in range(self.text_rows)]
        drawn = [torch.rand(shape, generator=key_generator(seed, layer, word, *more)) for seed, more in keys]
        return (torch.stack(drawn) >= share).float() / (1 - share)
