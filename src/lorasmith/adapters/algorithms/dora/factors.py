"""DoRA (Liu et al. 2024) over another algorithm's change d: W' = m (W + d) / ||W + d||, delta W = W' - W.

The norm is per output channel, or per input channel as older lycoris files have it; the shape of `dora_scale` tells.
The strength multiplies W' - W. Over LoRA, per output channel, the norms come from W's own, computed once, and r x r
and r x i products: ||W + s B A||^2 = ||W||^2 + 2 s <B, W A^T> + s^2 <B, B (A A^T)>, row by row; W + d is never built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.layers.changes import add_changes, convolve
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors
from lorasmith.adapters.layers.strengths import Strengths
from lorasmith.adapters.layers.weights import WeightAdapter
from lorasmith.bases.compressed import weight_storage

MAGNITUDE = "dora_scale"


@dataclass(frozen=True, eq=False)
class DoraFactors(LayerFactors):
    """`inner` gives d; `magnitude` is (o, 1[, 1, 1]), or (1, i[, 1, 1]) on the input side."""

    algorithm: ClassVar[str] = "dora"

    inner: LayerFactors
    magnitude: Tensor

    @property
    def alpha(self) -> float | None:  # type: ignore[override]
        return self.inner.alpha

    @property
    def rank(self) -> int:
        return self.inner.rank

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.algorithm, *self.inner.parts)

    @property
    def near_output(self) -> frozenset[str]:
        return self.inner.near_output

    def as_peft(self) -> dict[str, Tensor] | None:
        inner = self.inner.as_peft()
        if inner is None or not self.on_output:
            return None
        shape = (-1,) if self.magnitude.ndim == 2 else (1, -1, *(1,) * (self.magnitude.ndim - 2))
        return {**inner, "lora_magnitude_vector": self.magnitude.reshape(shape)}

    @property
    def on_output(self) -> bool:
        return self.magnitude.shape[0] != 1 or self.inner.extent[0] == 1

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """Over LoRA."""
        return cls.over(LoraFactors.initial(weight, fresh), weight)

    @classmethod
    def over(cls, inner: LayerFactors, weight: Tensor) -> Self:
        """New factors over others that have no effect yet: the magnitude is the frozen weight's, per output."""
        return cls(inner, _norm(weight.detach().float(), True))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return MAGNITUDE in tensors and _inner_kind(tensors) is not None

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        kind = _inner_kind(tensors)
        assert kind is not None
        inner, magnitude = kind.from_tensors(_without_magnitude(tensors)), tensors[MAGNITUDE].float()
        if magnitude.ndim == 1:
            magnitude = magnitude.view(-1, *(1,) * (max(len(inner.extent), 2) - 1))
        if magnitude.ndim < 2 or magnitude.numel() != max(magnitude.shape):
            raise ValueError(f"dora_scale has the shape {tuple(magnitude.shape)}")
        return cls(inner, magnitude)

    def to_tensors(self) -> dict[str, Tensor]:
        return {**self.inner.to_tensors(), MAGNITUDE: self.magnitude}

    def trained(self) -> dict[str, Tensor]:
        return {**self.inner.trained(), "magnitude": self.magnitude}

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        rest = {field: tensor for field, tensor in tensors.items() if field != "magnitude"}
        return replace(self, inner=self.inner.with_trained(rest), magnitude=tensors["magnitude"])

    @property
    def extent(self) -> tuple[int | None, ...]:
        return self.inner.extent

    def shape_fault(self, weight: Tensor) -> str | None:
        fault = self.inner.shape_fault(weight)
        expected = weight.shape[0 if self.on_output else 1]
        if fault is None and self.magnitude.numel() != expected:
            return f"has {self.magnitude.numel()} magnitudes, the layer has {expected} channels"
        return fault

    def delta_weight(self, weight: Tensor) -> Tensor:
        W = weight.float()
        moved = W + self.inner.delta_weight(weight)
        m = self.magnitude.to(W.device).reshape(_norm_shape(weight, self.on_output))
        return moved * (m / _norm(moved, self.on_output)) - W

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        thin = all(isinstance(factors.inner, LoraFactors) and factors.on_output for factors in stack)
        return DoraOutputAdapter(layer, stack) if thin else WeightAdapter(layer, stack)


def _without_magnitude(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if key != MAGNITUDE}


def _inner_kind(tensors: Mapping[str, Tensor]) -> type[LayerFactors] | None:
    """The factors that have all these tensors but the magnitude; None when none that may be under magnitudes have."""
    rest = _without_magnitude(tensors)
    inner = (algorithm.kind for algorithm in ALGORITHMS.values() if "dora" in algorithm.switches)
    return next((kind for kind in inner if kind.claims(rest)), None)


def _norm_shape(weight: Tensor, on_output: bool) -> tuple[int, ...]:
    shape = [1] * weight.ndim
    shape[0 if on_output else 1] = -1
    return tuple(shape)


def _norm(weight: Tensor, on_output: bool) -> Tensor:
    """Norms over all but the output (or input) channels. A zero channel counts as tiny."""
    rows = (weight if on_output else weight.transpose(0, 1)).flatten(1)
    return _root(rows.square().sum(1)).view(_norm_shape(weight, on_output))


def _root(squares: Tensor) -> Tensor:
    return squares.clamp_min(1e-24).sqrt()


class DoraOutputAdapter(LayerAdapter):
    """DoRA over LoRA: a gain on the layer's own output, and a LoRA under the same gain."""

    reads_output = True

    def __init__(self, layer: nn.Module, stack: Sequence[DoraFactors]) -> None:
        weight = cast(nn.Linear, layer).weight
        shaped = [replace(f, inner=cast(LoraFactors, f.inner).shaped_like(weight)) for f in stack]
        super().__init__(layer, shaped)
        self._known: tuple[Tensor, Tensor] | None = None

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:
        layer = self.layer
        convolves = isinstance(layer, nn.Conv2d)
        if layer.bias is not None:
            frozen = frozen - (layer.bias[:, None, None] if convolves else layer.bias)

        def change(k: int, x_rows: Tensor, rows: Tensor | None) -> Tensor:
            own = frozen if rows is None else frozen[rows]
            down, up, gain = self._parts(k)
            more = (gain - 1).to(own.dtype)
            up = (up * gain[:, None]).to(x.dtype)
            if not convolves:
                return torch.addcmul(F.linear(F.linear(x_rows, down.to(x.dtype)), up), own, more)
            h = convolve(layer, x_rows, down.to(x.dtype))
            return torch.addcmul(F.conv2d(h, up[:, :, None, None]), own, more[:, None, None])

        return add_changes(x, y, strengths, change)

    def _parts(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """`down` as the layer has it, `up` (o, r) with its scale, and the gain m / ||W + d|| (o,)."""
        inner = cast(LoraFactors, cast(DoraFactors, self._stack[k]).inner)
        down, magnitude = self.tensor(k, "down"), self.tensor(k, "magnitude").flatten()
        up = self.tensor(k, "up").flatten(1) * inner.scale
        A = down.flatten(1)
        cross = 2 * cast(Tensor, _seen_by(A, self.layer)) + up @ (A @ A.T)
        return down, up, magnitude / _root(self._squares() + (up * cross).sum(1))

    def _squares(self) -> Tensor:
        """||W||^2 per output (o,), kept while the layer has the same weight."""
        storage = weight_storage(self.layer)
        if self._known is None or self._known[0].data_ptr() != storage.data_ptr():
            with torch.inference_mode(False), torch.no_grad():
                self._known = (storage, self.layer.weight.float().flatten(1).square().sum(1))
        return self._known[1]


class _SeenBy(Function):
    """W A^T of a frozen layer's weight W (o, n) and A (r, n), in fp32; W is read again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, A: Tensor, layer: nn.Linear) -> Tensor:
        ctx.layer = layer
        # NOTE: as (A W^T)^T: a CPU sums W A^T in an order that depends on where W lies in memory.
        return (A @ layer.weight.float().flatten(1).T).T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return g.T @ ctx.layer.weight.float().flatten(1), None


_seen_by: Any = _SeenBy.apply
