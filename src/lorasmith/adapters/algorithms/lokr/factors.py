"""LoKr (Edalati et al. 2022; Yeh et al. 2023): delta W = scale * W1 (x) W2, a Kronecker product.

Each factor is stored whole or as a product of two thin ones, the second one of a convolution also with a core kernel
(tucker). scale = alpha / rank when a factor is decomposed, 1 when both are whole, whatever alpha is stored (PEFT alone
scales there). The side path is the vec trick: x is cut into f2 pieces, each goes through W2, W1 mixes the results.
Shapes: W1 (f1, f2), W2 (o / f1, i / f2[, kh, kw]).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lorasmith.adapters.algorithms.lokr import LokrOptions
from lorasmith.adapters.layers.changes import add_changes, convolve
from lorasmith.adapters.layers.divisors import factorise
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors, PullBack, read_alpha
from lorasmith.adapters.layers.layer_gradients import LayerGradients
from lorasmith.adapters.layers.strengths import Strengths
from lorasmith.adapters.layers.weights import WeightAdapter, apply_weight

KEYS = ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")
_LEGAL = tuple(
    frozenset((*first, *second))
    for first in (("w1",), ("w1_a", "w1_b"))
    for second in (("w2",), ("w2_a", "w2_b"), ("w2_a", "w2_b", "t2"))
)


@dataclass(frozen=True, eq=False)
class LokrFactors(LayerFactors):
    """`w1` (f1, f2) or `w1_a` (f1, r) `w1_b` (r, f2); `w2` (o/f1, i/f2[, kh, kw]) or `w2_a` (o/f1, r) `w2_b`
    (r, i/f2 * kh * kw), or with `t2` (r, r, kh, kw): `w2_a` (r, o/f1), `w2_b` (r, i/f2)."""

    algorithm: ClassVar[str] = "lokr"
    proportional = False
    flattens = True

    tensors: Mapping[str, Tensor]
    alpha: float

    @property
    def rank(self) -> int:
        """The rank of what is decomposed; of two whole factors the alpha that stands in the file, or 1."""
        for key, dim in (("w2_b", 0), ("w1_b", 0)):
            if key in self.tensors:
                return int(self.tensors[key].shape[dim])
        return max(1, round(self.alpha))

    @property
    def scale(self) -> float:
        return 1.0 if {"w1", "w2"} <= self.tensors.keys() else super().scale

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """Kaiming-uniform but for the tensor that makes it zero; decomposed where that is smaller, as lycoris."""

        def uniform(*shape: int) -> Tensor:
            return nn.init.kaiming_uniform_(torch.empty(*shape), a=math.sqrt(5), generator=fresh.generator)

        options, rank = fresh.own(LokrOptions), fresh.rank
        (f1, o2), (f2, i2) = (factorise(width, options.factor) for width in weight.shape[:2])
        kernel = tuple(weight.shape[2:])
        tensors: dict[str, Tensor] = {}
        if options.both and not options.full and rank < max(f1, f2) / 2:
            tensors |= {"w1_a": uniform(f1, rank), "w1_b": uniform(rank, f2)}
        else:
            tensors["w1"] = uniform(f1, f2)
        if options.full or rank >= max(o2, i2) / 2:
            tensors["w2"] = torch.zeros(o2, i2, *kernel)
        elif fresh.tucker and math.prod(kernel) > 1:
            tensors |= {
                "w2_a": uniform(rank, o2),
                "w2_b": torch.zeros(rank, i2),
                "t2": uniform(rank, rank, *kernel),
            }
        else:
            tensors |= {"w2_a": uniform(o2, rank), "w2_b": torch.zeros(rank, i2 * math.prod(kernel))}
        whole = {"w1", "w2"} <= tensors.keys()
        return cls(tensors, float(rank if whole else fresh.alpha))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return frozenset(suffix.removeprefix("lokr_") for suffix in tensors.keys() - {"alpha"}) in _LEGAL and all(
            suffix.startswith("lokr_") for suffix in tensors.keys() - {"alpha"}
        )

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        mine = {key: tensors[f"lokr_{key}"].float() for key in KEYS if f"lokr_{key}" in tensors}
        for key, tensor in mine.items():
            dims = {"w2": (2, 4), "t2": (4,), "w2_b": (2, 4)}.get(key, (2,))
            if tensor.ndim not in dims or min(tensor.shape) < 1:
                raise ValueError(f"{key} has the shape {tuple(tensor.shape)}")
        if "w2_b" in mine and mine["w2_b"].ndim == 4:
            mine["w2_b"] = mine["w2_b"].flatten(1)
        if "w1_a" in mine and mine["w1_a"].shape[1] != mine["w1_b"].shape[0]:
            raise ValueError("w1_a and w1_b do not make one matrix")
        if "w2_a" in mine:
            r = mine["w2_b"].shape[0]
            inner = mine["w2_a"].shape[0 if "t2" in mine else 1]
            if inner != r or ("t2" in mine and mine["t2"].shape[:2] != (r, r)):
                raise ValueError("w2_a, w2_b and t2 do not make one kernel")
        lone = cls(mine, 1.0)
        return cls(mine, read_alpha(tensors, lone.rank))

    def to_tensors(self) -> dict[str, Tensor]:
        return {f"lokr_{key}": tensor for key, tensor in self.tensors.items()} | {
            "alpha": torch.tensor(float(self.alpha))
        }

    def trained(self) -> dict[str, Tensor]:
        return dict(self.tensors)

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, tensors=dict(tensors))

    @property
    def extent(self) -> tuple[int | None, ...]:
        t = self.tensors
        f1, f2 = t["w1"].shape if "w1" in t else (t["w1_a"].shape[0], t["w1_b"].shape[1])
        if "w2" in t:
            o2, i2, *kernel = t["w2"].shape
        elif "t2" in t:
            o2, i2, kernel = t["w2_a"].shape[1], t["w2_b"].shape[1], list(t["t2"].shape[2:])
        else:
            o2, i2, kernel = t["w2_a"].shape[0], t["w2_b"].shape[1], []
        return f1 * o2, f2 * i2, *kernel

    def first(self) -> Tensor:
        """W1, (f1, f2)."""
        t = self.tensors
        return t["w1"] if "w1" in t else t["w1_a"] @ t["w1_b"]

    def second(self, kernel: Sequence[int]) -> Tensor:
        """W2 with its kernel, (o / f1, i / f2, *kernel)."""
        t = self.tensors
        if "w2" in t:
            return t["w2"].reshape(*t["w2"].shape[:2], *kernel)
        if "t2" in t:
            inner = torch.einsum("rqhw,qi->rihw", t["t2"], t["w2_b"])
            return torch.einsum("ro,rihw->oihw", t["w2_a"], inner)
        return (t["w2_a"] @ t["w2_b"]).reshape(t["w2_a"].shape[0], -1, *kernel)

    def delta_weight(self, weight: Tensor) -> Tensor:
        w1, w2 = self.first(), self.second(weight.shape[2:])
        (f1, f2), (o2, i2) = w1.shape, w2.shape[:2]
        product = torch.outer((self.scale * w1).flatten(), w2.flatten()).view(f1, f2, o2, i2, -1)
        return product.permute(0, 2, 1, 3, 4).reshape(weight.shape).to(weight.device)

    @property
    def pulls_back(self) -> bool:
        return "t2" not in self.tensors

    def onto(self, weight: Tensor, strength: float) -> tuple[Tensor, PullBack]:
        t = self.tensors
        w1, w2 = self.first(), self.second(weight.shape[2:])
        (f1, f2), o2 = w1.shape, w2.shape[0]
        scale = strength * self.scale
        left, right = (scale * w1).view(f1, 1, f2, 1), w2.reshape(1, o2, 1, -1)
        total = torch.addcmul(weight.reshape(f1, o2, f2, -1), left, right).view_as(weight)

        def pull_back(layer_gradients: LayerGradients) -> Mapping[str, Tensor]:
            pull = _pull_from_pieces if _is_lighter_in_pieces(layer_gradients, w1, w2) else _pull_from_whole
            of_first, of_second = (gradient.mul_(scale).to(w1.dtype) for gradient in pull(layer_gradients, w1, w2))
            of_second = of_second.view(o2, -1)
            gradients: dict[str, Tensor] = {}
            if "w1" in t:
                gradients["w1"] = of_first
            else:
                gradients |= {"w1_a": of_first @ t["w1_b"].T, "w1_b": t["w1_a"].T @ of_first}
            if "w2" in t:
                gradients["w2"] = of_second.view(t["w2"].shape)
            else:
                gradients |= {"w2_a": of_second @ t["w2_b"].T, "w2_b": t["w2_a"].T @ of_second}
            return gradients

        return total, pull_back

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        return LokrAdapter(layer, stack)


class LokrAdapter(WeightAdapter):
    """The Kronecker vec trick: the large factor sees f2 (or f1) thin pieces, the small one mixes them. In training
    with one adapter, one operation on the sum of the weights is cheaper."""

    def run(self, original: Callable[[Tensor], Tensor], x: Tensor, strengths: Strengths) -> Tensor:
        return (
            super().run(original, x, strengths)
            if torch.is_grad_enabled()
            else LayerAdapter.run(self, original, x, strengths)
        )

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:  # noqa: ARG002
        return add_changes(x, y, strengths, self._change)

    def _change(self, k: int, x: Tensor, rows: Tensor | None) -> Tensor:  # noqa: ARG002
        layer = self.layer
        factors = cast(LokrFactors, self.live_factors(k))
        w1 = (factors.scale * factors.first()).to(x.dtype)
        if isinstance(layer, nn.Conv2d):
            return _through_convolution(x, w1, factors.second(layer.kernel_size).to(x.dtype), layer)
        return _through_linear(x, w1, factors.second(()).to(x.dtype))


_MOVE = 200
"""What moving a number costs, in multiplications: of two ways back the lighter one is taken. Measured on CPUs."""


def _is_lighter_in_pieces(layer_gradients: LayerGradients, w1: Tensor, w2: Tensor) -> bool:
    """Whether the gradients are cheaper found piece by piece than from that of the whole weight."""
    (f1, f2), o2 = w1.shape, w2.shape[0]
    o, i = layer_gradients.weight.shape[:2]
    T, whole = layer_gradients.g.numel() // o, layer_gradients.weight.numel()
    pieces = f2 * o2 * (2 * w2[0].numel() + f1)
    return T * pieces + _MOVE * T * (o + i + f2 * o2) < T * whole + _MOVE * whole


def _pull_from_whole(layer_gradients: LayerGradients, w1: Tensor, w2: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of `w1` and `w2`, of their Kronecker product's."""
    (f1, f2), o2 = w1.shape, w2.shape[0]
    g = layer_gradients.weight_gradient().to(w1.dtype).view(f1, o2, f2, -1).transpose(1, 2).reshape(f1 * f2, -1)
    return (g @ w2.flatten()).view(f1, f2), w1.flatten() @ g


def _pull_from_pieces(layer_gradients: LayerGradients, w1: Tensor, w2: Tensor) -> tuple[Tensor, Tensor]:
    """The same by the vec trick: the whole weight's gradient is never made."""
    (f1, f2), o2 = w1.shape, w2.shape[0]
    w1, w2 = w1.to(layer_gradients.x.dtype), w2.to(layer_gradients.x.dtype)
    if isinstance(layer_gradients.layer, nn.Conv2d):
        g = layer_gradients.g.reshape(layer_gradients.g.shape[0], f1, -1)
        pieces = layer_gradients.x.reshape(-1, w2.shape[1], *layer_gradients.x.shape[2:])
        h = apply_weight(layer_gradients.layer, pieces, w2, None).reshape(-1, f2, g.shape[2])
        of_first = torch.bmm(g, h.transpose(1, 2)).sum(0)
        mixed = torch.matmul(w1.T, g).view(-1, o2, *layer_gradients.g.shape[2:])
    else:
        g, pieces = layer_gradients.g.reshape(-1, f1, o2), layer_gradients.x.reshape(-1, f2, w2.shape[1])
        h = apply_weight(layer_gradients.layer, pieces, w2, None)
        of_first = g.transpose(0, 1).reshape(f1, -1) @ h.transpose(0, 1).reshape(f2, -1).T
        mixed = torch.matmul(w1.T, g)
    return of_first, LayerGradients(layer_gradients.layer, w2, mixed, pieces).weight_gradient()


def _through_linear(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    """x (..., i) to (..., o)."""
    (f1, f2), (o2, i2) = w1.shape, w2.shape
    pieces = x.reshape(-1, f2, i2)
    # Whichever product leaves less for the other comes first.
    if f2 * i2 * o2 + f1 * f2 * o2 <= f1 * f2 * i2 + f1 * i2 * o2:
        mixed = torch.matmul(w1, F.linear(pieces, w2))
    else:
        mixed = F.linear(torch.matmul(w1, pieces), w2)
    return mixed.reshape(*x.shape[:-1], f1 * o2)


def _through_convolution(x: Tensor, w1: Tensor, w2: Tensor, layer: nn.Conv2d) -> Tensor:
    """x (B, i, H, W) to (B, o, H', W')."""
    B, (f1, f2), o2 = x.shape[0], w1.shape, w2.shape[0]
    pieces = x.reshape(B * f2, -1, *x.shape[2:])
    h = convolve(layer, pieces, w2)
    return torch.matmul(w1, h.reshape(B, f2, -1)).reshape(B, f1 * o2, *h.shape[2:])
