"""GLoRA (Chavan et al. 2023) as lycoris writes it: delta W = alpha / rank * (W A1 A2 + B1 B2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors, read_alpha
from lorasmith.adapters.layers.weights import WeightAdapter

KEYS = ("a1", "a2", "b1", "b2")
_SUFFIXES = frozenset(f"{key}.weight" for key in KEYS)


@dataclass(frozen=True, eq=False)
class GloraFactors(LayerFactors):
    """`a1` (i, r), `a2` (r, i), `b1` (o, r), `b2` (r, i), all with 1x1 kernels on a convolution but `b2`: its own."""

    algorithm: ClassVar[str] = "glora"

    a1: Tensor
    a2: Tensor
    b1: Tensor
    b2: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        return int(self.a2.shape[0])

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """`a1`, `b1` Kaiming-uniform, `a2`, `b2` zero."""
        o, i, *kernel = weight.shape
        ones = (1,) * len(kernel)
        a1, b1 = torch.empty(i, fresh.rank, *ones), torch.empty(o, fresh.rank, *ones)
        for tensor in (a1, b1):
            nn.init.kaiming_uniform_(tensor, a=math.sqrt(5), generator=fresh.generator)
        return cls(a1, torch.zeros(fresh.rank, i, *ones), b1, torch.zeros(fresh.rank, i, *kernel), float(fresh.alpha))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return tensors.keys() >= _SUFFIXES and tensors.keys() <= _SUFFIXES | {"alpha"}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        a1, a2, b1, b2 = (tensors[f"{key}.weight"].float() for key in KEYS)
        if any(each.ndim not in (2, 4) for each in (a1, a2, b1, b2)) or a2.shape[0] < 1:
            raise ValueError("a factor is no matrix")
        r, i = a2.shape[:2]
        if a1.shape[:2] != (i, r) or b1.shape[1] != r or b2.shape[:2] != (r, i) or a1[0, 0].numel() != 1:
            raise ValueError("a1, a2, b1 and b2 do not make one change")
        return cls(a1, a2, b1, b2, read_alpha(tensors, r))

    def to_tensors(self) -> dict[str, Tensor]:
        return {f"{key}.weight": tensor for key, tensor in self.trained().items()} | {
            "alpha": torch.tensor(float(self.alpha))
        }

    def trained(self) -> dict[str, Tensor]:
        return {"a1": self.a1, "a2": self.a2, "b1": self.b1, "b2": self.b2}

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, **cast(Any, tensors))

    @property
    def extent(self) -> tuple[int | None, ...]:
        return (self.b1.shape[0], *self.b2.shape[1:])

    def delta_weight(self, weight: Tensor) -> Tensor:
        W = weight.float()
        i = W.shape[1]
        a1, a2 = self.a1.flatten(1).to(W.device), self.a2.flatten(1).to(W.device)
        # W A1 A2 over the input channels, kernel position by kernel position.
        moved = W.reshape(W.shape[0], i, -1).transpose(1, 2)
        turned = ((moved @ a1) @ a2).transpose(1, 2).reshape(W.shape)
        added = (self.b1.flatten(1) @ self.b2.flatten(1)).reshape(W.shape).to(W.device)
        return (turned + added) * self.scale

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        return WeightAdapter(layer, stack)
