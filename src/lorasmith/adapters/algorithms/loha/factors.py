"""LoHa (Hyeon-Woo et al. 2021; Yeh et al. 2023): delta W = alpha / rank * (A1 B1) o (A2 B2), elementwise.

With `t1`, `t2` (tucker) each half is a core kernel between two 1x1 ones. The same change is exactly a LoRA of rank
r^2 whose factors are the halves' column-wise and row-wise Kronecker products: the side path while that is cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lorasmith.adapters.layers.changes import add_changes, convolve
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors, PullBack, read_alpha
from lorasmith.adapters.layers.layer_gradients import LayerGradients
from lorasmith.adapters.layers.strengths import Strengths
from lorasmith.adapters.layers.weights import WeightAdapter

PLAIN_KEYS = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
CORES = ("hada_t1", "hada_t2")


@dataclass(frozen=True, eq=False)
class LohaFactors(LayerFactors):
    """`w1_a`, `w2_a` (o, r); `w1_b`, `w2_b` (r, i * kh * kw). With cores (r, r, kh, kw): a (r, o), b (r, i)."""

    algorithm: ClassVar[str] = "loha"
    proportional = False
    flattens = True

    w1_a: Tensor
    w1_b: Tensor
    w2_a: Tensor
    w2_b: Tensor
    alpha: float
    t1: Tensor | None = None
    t2: Tensor | None = None

    @property
    def rank(self) -> int:
        return int(self.w1_b.shape[0])

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """Normal, `b` with 1, `w1_a` and the cores with 0.1; `w2_a` zero: as lycoris."""

        def normal(std: float, *shape: int) -> Tensor:
            return torch.randn(*shape, generator=fresh.generator) * std

        o, i, rank = *weight.shape[:2], fresh.rank
        if fresh.tucker and weight[0, 0].numel() > 1:
            kernel = tuple(weight.shape[2:])
            t1, t2 = normal(0.1, rank, rank, *kernel), normal(0.1, rank, rank, *kernel)
            w1_b, w1_a, w2_b = normal(1, rank, i), normal(0.1, rank, o), normal(1, rank, i)
            return cls(w1_a, w1_b, torch.zeros(rank, o), w2_b, float(fresh.alpha), t1, t2)
        n = weight[0].numel()
        w1_b, w1_a, w2_b = normal(1, rank, n), normal(0.1, o, rank), normal(1, rank, n)
        return cls(w1_a, w1_b, torch.zeros(o, rank), w2_b, float(fresh.alpha))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        rest = tensors.keys() - set(PLAIN_KEYS) - {"alpha"}
        return set(PLAIN_KEYS) <= tensors.keys() and rest in (frozenset(), frozenset(CORES))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        w1_a, w1_b, w2_a, w2_b = (tensors[key].float() for key in PLAIN_KEYS)
        t1, t2 = (tensors[key].float() if key in tensors else None for key in CORES)
        if any(each.ndim != 2 for each in (w1_a, w1_b, w2_a, w2_b)):
            raise ValueError("a factor is no matrix")
        for a, b, core in ((w1_a, w1_b, t1), (w2_a, w2_b, t2)):
            r = b.shape[0]
            if r < 1 or a.shape[1 if core is None else 0] != r:
                raise ValueError(f"factors {tuple(a.shape)} and {tuple(b.shape)} do not make one matrix")
            if core is not None and (core.ndim != 4 or core.shape[:2] != (r, r)):
                raise ValueError(f"core {tuple(core.shape)} does not fit rank {r}")
        mine = cls(w1_a, w1_b, w2_a, w2_b, read_alpha(tensors, w1_b.shape[0]), t1, t2)
        other = replace(mine, w1_a=w2_a, w1_b=w2_b, t1=t2)
        if mine.extent != other.extent:
            raise ValueError(f"its halves have the shapes {mine.extent} and {other.extent}")
        return mine

    def to_tensors(self) -> dict[str, Tensor]:
        tensors = dict(zip(PLAIN_KEYS, (self.w1_a, self.w1_b, self.w2_a, self.w2_b), strict=True))
        if self.t1 is not None and self.t2 is not None:
            tensors |= dict(zip(CORES, (self.t1, self.t2), strict=True))
        return tensors | {"alpha": torch.tensor(float(self.alpha))}

    def trained(self) -> dict[str, Tensor]:
        tensors = {"w1_a": self.w1_a, "w1_b": self.w1_b, "w2_a": self.w2_a, "w2_b": self.w2_b}
        if self.t1 is not None and self.t2 is not None:
            tensors |= {"t1": self.t1, "t2": self.t2}
        return tensors

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, **cast(Any, tensors))

    @property
    def extent(self) -> tuple[int | None, ...]:
        if self.t1 is None:
            return self.w1_a.shape[0], self.w1_b.shape[1]
        return self.w1_a.shape[1], self.w1_b.shape[1], *self.t1.shape[2:]

    def delta_weight(self, weight: Tensor) -> Tensor:
        one, two = _half(self.w1_a, self.w1_b, self.t1), _half(self.w2_a, self.w2_b, self.t2)
        return (self.scale * one * two).reshape(weight.shape).to(weight.device)

    def as_product(self, shape: tuple[int, ...], weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """A product of rank r^2, where that is less than the layer's sides."""
        if self.t1 is not None or self.w2_b.shape[0] * self.rank >= min(shape[0], math.prod(shape[1:])):
            return super().as_product(shape, weight)
        up = (self.w1_a.unsqueeze(2) * self.w2_a.unsqueeze(1)).flatten(1) * self.scale
        return up, (self.w1_b.unsqueeze(1) * self.w2_b).flatten(0, 1)

    @property
    def pulls_back(self) -> bool:
        return self.t1 is None

    def onto(self, weight: Tensor, strength: float) -> tuple[Tensor, PullBack]:
        one, two = self.w1_a @ self.w1_b, self.w2_a @ self.w2_b
        scale = strength * self.scale
        total = torch.addcmul(weight.flatten(1), one, two, value=scale).view_as(weight)

        def pull_back(layer_gradients: LayerGradients) -> Mapping[str, Tensor]:
            g = layer_gradients.weight_gradient().flatten(1).to(one.dtype)
            of_one, of_two = two.mul_(g), one.mul_(g)
            # NOTE: a narrow product is quicker lying than standing, up to twice on CPUs.
            return {
                "w1_a": (self.w1_b @ of_one.T).mul_(scale).T,
                "w1_b": (self.w1_a.T @ of_one).mul_(scale),
                "w2_a": (self.w2_b @ of_two.T).mul_(scale).T,
                "w2_b": (self.w2_a.T @ of_two).mul_(scale),
            }

        return total, pull_back

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        o, n = cast(nn.Linear, layer).weight.flatten(1).shape
        # Thin products cost 3 r^2 (o + n) per position in a training step, one more full gradient o n.
        thin = all(
            factors.t1 is None and 3 * factors.w2_b.shape[0] * factors.rank * (o + n) < o * n for factors in stack
        )
        return LohaThinAdapter(layer, stack) if thin else WeightAdapter(layer, stack)


def _half(a: Tensor, b: Tensor, core: Tensor | None) -> Tensor:
    if core is None:
        return a @ b
    return torch.einsum("rphw,ro->ophw", torch.einsum("rqhw,qp->rphw", core, b), a)


class LohaThinAdapter(LayerAdapter):
    """LoHa as a LoRA of rank r^2."""

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:  # noqa: ARG002
        return add_changes(x, y, strengths, self._change)

    def _change(self, k: int, x: Tensor, rows: Tensor | None) -> Tensor:  # noqa: ARG002
        layer, factors = self.layer, cast(LohaFactors, self._stack[k])
        w1_a, w1_b, w2_a, w2_b = (self.tensor(k, field) for field in ("w1_a", "w1_b", "w2_a", "w2_b"))
        down = (w1_b.unsqueeze(1) * w2_b).flatten(0, 1).to(x.dtype)
        up = (w1_a.unsqueeze(2) * (factors.scale * w2_a).unsqueeze(1)).flatten(1).to(x.dtype)
        if not isinstance(layer, nn.Conv2d):
            return F.linear(F.linear(x, down), up)
        down = down.reshape(-1, layer.in_channels, *layer.kernel_size)
        h = convolve(layer, x, down)
        return F.conv2d(h, up[:, :, None, None])
