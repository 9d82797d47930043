"""A frozen layer and its LoRA in one operation. Shapes: B batch, i and o the layer's widths, P pixels, r rank."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from lorasmith.bases.pointwise import multiply, weight_gradient


def _weigh(h: Tensor, weights: float | Tensor) -> tuple[Tensor, float]:
    """h with its weights by row in it, and the number that is left for the product with `up`."""
    return (h * weights, 1.0) if isinstance(weights, Tensor) else (h, weights)


def _weigh_back(grad_h: Tensor, grad_up: Tensor | None, weights: float | Tensor) -> None:
    """Put the weights into the gradients, in place; those by row are in the h that `grad_up` was made with."""
    if isinstance(weights, Tensor):
        grad_h.mul_(weights)
    elif weights != 1.0:
        grad_h.mul_(weights)
        if grad_up is not None:
            grad_up.mul_(weights)


def linear_with_lora(
    x: Tensor, W: Tensor, b: Tensor | None, down: Tensor, up: Tensor, weights: float | Tensor
) -> tuple[Tensor, Tensor]:
    """x W^T + b + weights * (x down^T) up^T, the second sum in place; and the (row-)weighted x down^T. `weights` is a
    number, or multiplies x down^T."""
    y = F.linear(x, W, b)
    h, scale = _weigh(F.linear(x, down), weights)
    y.view(-1, y.shape[-1]).addmm_(h.reshape(-1, h.shape[-1]), up.T, alpha=scale)
    return y, h


class _LoraLinear(Function):
    """A frozen linear layer and its LoRA as one node: no sum is materialised twice, forward or backward.

    The layer's weight is read again in the backward pass: where it is kept compressed, nothing holds a wide copy.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Linear, down: Tensor, up: Tensor, weights: float | Tensor) -> Tensor:
        y, h = linear_with_lora(x, layer.weight, layer.bias, down, up, weights)
        ctx.layer, ctx.weights = layer, weights
        ctx.save_for_backward(x, down, up, h)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, down, up, h = ctx.saved_tensors
        need_x, _, need_down, need_up, _ = ctx.needs_input_grad
        # NOTE: every call counts here; a model has hundreds of these layers, and most are small.
        g_2 = g.reshape(-1, g.shape[-1])
        grad_h = g_2.mm(up)
        grad_up = h.reshape(-1, h.shape[-1]).T.mm(g_2).T if need_up else None  # lying: quicker than a standing one
        _weigh_back(grad_h.view(h.shape), grad_up, ctx.weights)
        grad_down = grad_h.T.mm(x.reshape(-1, x.shape[-1])) if need_down else None
        grad_x = g_2.mm(ctx.layer.weight).addmm_(grad_h, down).view(x.shape) if need_x else None
        return grad_x, None, grad_down, grad_up, None


def pointwise_with_lora(
    x: Tensor, layer: nn.Conv2d, down: Tensor, up: Tensor, weights: float | Tensor
) -> tuple[Tensor, Tensor]:
    """x (B, i, P) through a 1x1 convolution, plus up (weights * (down x)), the second sum in place; and the
    (row-)weighted down x. `weights` is a number, or multiplies down x."""
    y = multiply(x, layer.weight.flatten(1), layer.bias)
    h, scale = _weigh(multiply(x, down, None), weights)
    y.baddbmm_(up.expand(x.shape[0], -1, -1), h, alpha=scale)
    return y, h


class _LoraPointwise(Function):
    """`_LoraLinear` for a frozen 1x1 convolution; x (B, i, P)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Conv2d, down: Tensor, up: Tensor, weights: float | Tensor) -> Tensor:
        y, h = pointwise_with_lora(x, layer, down, up, weights)
        ctx.layer, ctx.weights = layer, weights
        ctx.save_for_backward(x, down, up, h)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, down, up, h = ctx.saved_tensors
        need_x, _, need_down, need_up, _ = ctx.needs_input_grad
        g = g.contiguous()
        grad_h = multiply(g, up.T, None)
        grad_up = weight_gradient(g, h) if need_up else None
        _weigh_back(grad_h, grad_up, ctx.weights)
        grad_down = weight_gradient(grad_h, x) if need_down else None
        grad_x = None
        if need_x:
            grad_x = multiply(g, ctx.layer.weight.flatten(1).T, None)
            grad_x.baddbmm_(down.T.expand(x.shape[0], -1, -1), grad_h)
        return grad_x, None, grad_down, grad_up, None


fused_linear: Any = _LoraLinear.apply
fused_pointwise: Any = _LoraPointwise.apply
