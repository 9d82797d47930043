"""LoRA on a convolution with a small core kernel (Tucker): 1x1 down, the layer's kernel on r channels, 1x1 up.

delta W = alpha / rank * up x core x down. What lycoris calls tucker, and writes as `lora_mid`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lorasmith.adapters.algorithms.lora.factors import ALPHA, DOWN, UP
from lorasmith.adapters.layers.changes import add_changes, convolve
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors, read_alpha
from lorasmith.adapters.layers.strengths import Strengths

MID = "lora_mid.weight"


@dataclass(frozen=True, eq=False)
class TuckerFactors(LayerFactors):
    """`down` (r, i, 1, 1), `mid` (r, r, kh, kw), `up` (o, r, 1, 1)."""

    algorithm: ClassVar[str] = "tucker"
    proportional = False

    down: Tensor
    mid: Tensor
    up: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        return int(self.down.shape[0])

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """`down` and `mid` Kaiming-uniform, `up` zero. A layer without a kernel gets a core of 1x1."""
        kernel = tuple(weight.shape[2:]) or (1, 1)
        down, mid = torch.empty(fresh.rank, weight.shape[1], 1, 1), torch.empty(fresh.rank, fresh.rank, *kernel)
        for tensor in (down, mid):
            nn.init.kaiming_uniform_(tensor, a=math.sqrt(5), generator=fresh.generator)
        return cls(down, mid, torch.zeros(weight.shape[0], fresh.rank, 1, 1), float(fresh.alpha))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return {DOWN, MID, UP} <= tensors.keys() <= {DOWN, MID, UP, ALPHA}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        down, mid, up = (tensors[key].float() for key in (DOWN, MID, UP))
        r = down.shape[0] if down.ndim else 0
        if r < 1 or any(each.ndim != 4 for each in (down, mid, up)) or down.shape[2:] != (1, 1):
            raise ValueError(f"down {tuple(down.shape)} is no 1x1 convolution")
        if mid.shape[:2] != (r, r) or up.shape[1:] != (r, 1, 1):
            raise ValueError(f"mid {tuple(mid.shape)} and up {tuple(up.shape)} do not fit down {tuple(down.shape)}")
        return cls(down, mid, up, read_alpha(tensors, r))

    def to_tensors(self) -> dict[str, Tensor]:
        return {DOWN: self.down, MID: self.mid, UP: self.up, ALPHA: torch.tensor(float(self.alpha))}

    def trained(self) -> dict[str, Tensor]:
        return {"down": self.down, "mid": self.mid, "up": self.up}

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, **cast(Any, tensors))

    @property
    def extent(self) -> tuple[int | None, ...]:
        return (self.up.shape[0], self.down.shape[1], *self.mid.shape[2:])

    def delta_weight(self, weight: Tensor) -> Tensor:
        inner = torch.einsum("pqhw,qi->pihw", self.mid, self.down.flatten(1))
        delta = self.scale * torch.einsum("op,pihw->oihw", self.up.flatten(1), inner)
        return delta.reshape(weight.shape).to(weight.device)

    def as_product(self, shape: tuple[int, ...], weight: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        inner = torch.einsum("pqhw,qi->pihw", self.mid, self.down.flatten(1)).flatten(1)
        return self.up.flatten(1) * self.scale, inner

    @property
    def near_output(self) -> frozenset[str]:
        return frozenset(("up",))

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        return TuckerAdapter(layer, stack)


class TuckerAdapter(LayerAdapter):
    """Three thin convolutions beside the layer; on a linear layer three thin products."""

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:  # noqa: ARG002
        return add_changes(x, y, strengths, self._change)

    def _change(self, k: int, x: Tensor, rows: Tensor | None) -> Tensor:  # noqa: ARG002
        layer, scale = self.layer, cast(TuckerFactors, self._stack[k]).scale
        down, mid, up = (self.tensor(k, field).to(x.dtype) for field in ("down", "mid", "up"))
        if not isinstance(layer, nn.Conv2d):
            h = F.linear(F.linear(x, down.flatten(1)), mid.flatten(1))
            return F.linear(h * scale, up.flatten(1))
        h = convolve(layer, F.conv2d(x, down), mid)
        return F.conv2d(h * scale, up)
