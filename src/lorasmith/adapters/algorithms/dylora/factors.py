"""DyLoRA (Valipour et al. 2022): a LoRA whose first ranks are useful without the later ones.

Every training step draws a rank b for all layers; the adapter acts with its first b ranks at the full rank's scale,
and only the last drawn block learns, the ranks before it stand still. The file is a plain LoRA, and cutting it to
its first ranks when it is used (`dyn`) gives what training saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.algorithms.dylora import DyloraOptions
from lorasmith.adapters.algorithms.lora.factors import LoraAdapter, LoraConvAdapter, LoraFactors, LoraLinearAdapter
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter


@dataclass(frozen=True, eq=False)
class DyloraFactors(LoraFactors):
    """LoRA's factors; `block` ranks are drawn together. Files are read as plain LoRA."""

    algorithm: ClassVar[str] = "dylora"

    block: int = 1

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        plain = LoraFactors.initial(weight, fresh)
        return cls(plain.down, plain.up, plain.alpha, fresh.own(DyloraOptions).block)

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:  # noqa: ARG003 - a file does not tell how it was trained
        return False

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        kind = DyloraConvAdapter if isinstance(layer, nn.Conv2d) else DyloraLinearAdapter
        return kind(layer, [factors.shaped_like(cast(nn.Linear, layer).weight) for factors in stack])


class _Drawn(LoraAdapter):
    """LoRA's cut to the ranks drawn last; whole until `vary` is called."""

    _before: tuple[int, ...] = ()

    def vary(self, shares: Sequence[float]) -> None:
        stack = cast(Sequence[DyloraFactors], self._stack)
        blocks = [-(-factors.rank // factors.block) for factors in stack]
        self._before = tuple(
            int(share * n) * factors.block for share, n, factors in zip(shares, blocks, stack, strict=True)
        )
        self._ranks = tuple(min(k + f.block, f.rank) for k, f in zip(self._before, stack, strict=True))

    def _pair(self, k: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return self._cut(k, "down", 0).to(dtype), self._cut(k, "up", 1).to(dtype)

    def _cut(self, k: int, field: str, dim: int) -> Tensor:
        tensor = self.tensor(k, field)
        before = self._before[k] if self._before else 0
        live = tensor.narrow(dim, before, self._ranks[k] - before)
        return live if not before else torch.cat([tensor.narrow(dim, 0, before).detach(), live], dim)


class DyloraLinearAdapter(_Drawn, LoraLinearAdapter):
    """Beside a linear layer."""


class DyloraConvAdapter(_Drawn, LoraConvAdapter):
    """Beside a convolution."""
