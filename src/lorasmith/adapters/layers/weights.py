"""The side path of every algorithm that has no cheaper one: one operation on W + delta W, rebuilt in the backward pass.

The rebuilt weight is not kept for the backward pass, unless it is small beside the layer's input: what is saved is that
input and the small factors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from lorasmith.adapters.layers.changes import add_changes, convolve
from lorasmith.adapters.layers.factors import LayerAdapter, LayerFactors
from lorasmith.adapters.layers.layer_gradients import LayerGradients
from lorasmith.adapters.layers.strengths import Strengths
from lorasmith.bases.pointwise import convolve_pointwise, is_pointwise, is_quicker

Rebuild = Callable[[Sequence[Tensor]], tuple[Tensor, Tensor | None]]
"""From trained tensors to a weight and a bias."""


def apply_weight(layer: nn.Module, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The layer's operation with another weight and bias."""
    if is_pointwise(layer) and is_quicker(x):
        return convolve_pointwise(x, weight, bias)
    if isinstance(layer, nn.Conv2d):
        return convolve(layer, x, weight, bias)
    return F.linear(x, weight, bias)


class WeightAdapter(LayerAdapter):
    """Any stack on a linear layer or a convolution."""

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:  # noqa: ARG002
        def change(k: int, x_rows: Tensor, rows: Tensor | None) -> Tensor:  # noqa: ARG001
            return self._through(x_rows, lambda tensors: self._delta([k], [1.0], tensors), self._tensors([k]))

        return add_changes(x, y, strengths, change)

    def run(self, original: Callable[[Tensor], Tensor], x: Tensor, strengths: Strengths) -> Tensor:
        layer = self.layer
        # NOTE: a sum with a half-precision weight would lose the delta; beside the layer it keeps its own precision.
        if strengths.shared is None or layer.weight.dtype != torch.float32:
            y = original(x)
            return self.add(x, y, strengths, y)
        shared = strengths.shared
        if len(strengths.active) == 1 and self._stack[strengths.active[0]].pulls_back:
            tensors = self._tensors(strengths.active)
            if _learns(x, tensors):
                return cast(Tensor, _summed(layer, self.live_factors(strengths.active[0]), shared[0], x, *tensors))

        def rebuild(tensors: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
            weight, bias = self._delta(strengths.active, shared, tensors)
            if bias is None:
                return layer.weight + weight, layer.bias
            return layer.weight + weight, bias if layer.bias is None else layer.bias + bias

        return self._through(x, rebuild, self._tensors(strengths.active))

    def _tensors(self, active: Sequence[int]) -> list[Tensor]:
        return [self.tensor(k, field) for k in active for field in self._stack[k].trained()]

    def _delta(
        self, active: Sequence[int], strengths: Sequence[float], tensors: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """The weighted sums of the active adapters' changes of weight and bias."""
        frozen: Tensor = self.layer.weight
        weight: Tensor | None = None
        bias: Tensor | None = None
        left = iter(tensors)
        for k, strength in zip(active, strengths, strict=True):
            factors = self._stack[k]
            factors = factors.with_trained({field: next(left) for field in factors.trained()})
            more, more_bias = factors.delta_weight(frozen), factors.delta_bias()
            more = more if strength == 1.0 else more * strength
            weight = more if weight is None else weight + more
            if more_bias is not None:
                more_bias = more_bias * strength
                bias = more_bias if bias is None else bias + more_bias
        assert weight is not None
        return weight, bias

    def _through(self, x: Tensor, rebuild: Rebuild, tensors: Sequence[Tensor]) -> Tensor:
        if _learns(x, tensors):
            return cast(Tensor, _rebuilt(self.layer, rebuild, x, *tensors))
        weight, bias = rebuild(tensors)
        return apply_weight(self.layer, x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))


def _learns(x: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether a gradient goes through here."""
    return torch.is_grad_enabled() and (x.requires_grad or any(tensor.requires_grad for tensor in tensors))


class _Summed(Function):
    """A layer with the sum of its weight and one adapter's change, whose algorithm leads the gradient back itself.

    A sum that is small beside the input, which is kept anyway, is kept too; any other is made again on the way back.
    """

    @staticmethod
    def forward(
        ctx: Any, layer: nn.Module, factors: LayerFactors, strength: float, x: Tensor, *tensors: Tensor
    ) -> Tensor:
        made = factors.onto(cast(Tensor, layer.weight), strength)
        ctx.layer, ctx.factors, ctx.strength = layer, factors, strength
        ctx.kept = made if _KEPT_AT_MOST * made[0].numel() <= x.numel() else None
        ctx.save_for_backward(x, *tensors)  # the factors' own, so that a change before the way back is noticed
        return apply_weight(layer, x, made[0].to(x.dtype), cast(Tensor | None, layer.bias))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, *_ = ctx.saved_tensors
        weight, pull_back = ctx.kept or ctx.factors.onto(ctx.layer.weight, ctx.strength)
        ctx.kept = None  # pulling back uses it up
        need_x, needs = ctx.needs_input_grad[3], ctx.needs_input_grad[4:]
        layer_gradients = LayerGradients(ctx.layer, weight.to(x.dtype), g, x)
        grad_x = layer_gradients.input_gradient() if need_x else None
        gradients = pull_back(layer_gradients) if any(needs) else {}
        each = zip(ctx.factors.trained(), needs, strict=True)
        return None, None, None, grad_x, *(gradients[field] if need else None for field, need in each)


_KEPT_AT_MOST = 4
"""A sum is kept when this many of it are no more than the input."""


class _Rebuilt(Function):
    """A layer whose weight is a function of small tensors, which alone are kept."""

    @staticmethod
    def forward(ctx: Any, layer: nn.Module, rebuild: Rebuild, x: Tensor, *tensors: Tensor) -> Tensor:
        weight, bias = rebuild(tensors)
        ctx.layer, ctx.rebuild = layer, rebuild
        ctx.save_for_backward(x, *tensors)
        return apply_weight(layer, x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, *tensors = ctx.saved_tensors
        needs = ctx.needs_input_grad[3:]
        leaves = [tensor.detach().requires_grad_(need) for tensor, need in zip(tensors, needs, strict=True)]
        with torch.enable_grad():
            weight, bias = ctx.rebuild(leaves)
        layer_gradients = LayerGradients(ctx.layer, weight.detach().to(x.dtype), g, x)
        grad_x = layer_gradients.input_gradient() if ctx.needs_input_grad[2] else None
        outputs, gradients = [], []
        if weight.requires_grad:
            outputs.append(weight)
            gradients.append(layer_gradients.weight_gradient().to(weight.dtype))
        if bias is not None and bias.requires_grad:
            channels = 1 if isinstance(ctx.layer, nn.Conv2d) else g.ndim - 1
            outputs.append(bias)
            gradients.append(g.sum(dim=[d for d in range(g.ndim) if d != channels]).to(bias.dtype))
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        found = iter(torch.autograd.grad(outputs, wanted, gradients, allow_unused=True) if outputs else ())
        return None, None, grad_x, *(next(found, None) if leaf.requires_grad else None for leaf in leaves)


_rebuilt: Any = _Rebuilt.apply
_summed: Any = _Summed.apply
