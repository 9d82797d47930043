"""Layers of a denoiser of small pictures, written for bfloat16 training on CPUs, channels last.

At 4 x 4 and 8 x 8 cells the library's bfloat16 convolutions reach 50 to 150 GFLOPS, a product of matrices 300;
its group norm takes ten times as long when channels lie last.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Sides up to this are multiplied; above it the library's kernels win.
SMALL = 8


class _Shifted(torch.autograd.Function):
    """A 3 x 3 convolution of padding 1: x (b, h, w, c), weight (o, 9 c) with the nine places outermost."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        columns = _columns(x)
        ctx.save_for_backward(columns, weight)
        return columns @ weight.t()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        columns, weight = ctx.saved_tensors
        b, h, w, wide = columns.shape
        flat = gradient.reshape(-1, gradient.shape[-1])
        weight_gradient = flat.t() @ columns.view(flat.shape[0], -1)
        parts = (flat @ weight).view(b, h, w, 9, wide // 9)
        padded = columns.new_zeros(b, h + 2, w + 2, wide // 9)
        for place in range(9):
            down, across = divmod(place, 3)
            padded[:, down : down + h, across : across + w] += parts[:, :, :, place]
        return padded[:, 1 : h + 1, 1 : w + 1], weight_gradient


def _columns(x: Tensor) -> Tensor:
    """Each cell's nine neighbours side by side, (b, h, w, 9 c)."""
    _, h, w, _ = x.shape
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    return torch.cat([padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)], dim=-1)


class _GroupNorm(torch.autograd.Function):
    """Group norm of x (b, n, c) in `groups` groups of channels, computed in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        b, n, c = x.shape
        wide = x.float()
        count = n * c // groups
        mean = wide.sum(1).view(b, groups, -1).sum(2) / count
        square = (wide * wide).sum(1).view(b, groups, -1).sum(2) / count
        scale = (square - mean * mean).clamp(min=0).add(eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, scale)
        factor = scale.repeat_interleave(c // groups, 1) * weight
        shift = bias - mean.repeat_interleave(c // groups, 1) * factor
        return torch.addcmul(shift[:, None], wide, factor[:, None]).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        b, n, c = x.shape
        groups = mean.shape[1]
        each, count = c // groups, n * c // groups
        g, wide = gradient.float(), x.float()
        means, scales = mean.repeat_interleave(each, 1), scale.repeat_interleave(each, 1)
        plain = g.sum(1)
        aligned = ((g * wide).sum(1) - means * plain) * scales
        total = (plain * weight).view(b, groups, each).sum(2)
        slope = -scale * scale * (aligned * weight).view(b, groups, each).sum(2) / count
        level = -scale * total / count - mean * slope
        own = torch.addcmul(level.repeat_interleave(each, 1)[:, None], g, (scales * weight)[:, None])
        own.addcmul_(wide, slope.repeat_interleave(each, 1)[:, None])
        return own.to(x.dtype), aligned.sum(0), plain.sum(0), None, None


def quicken(model: nn.Module) -> None:
    """Make convolutions and group norms of `model` run in the quickest form for training; results stay the same."""
    model.to(memory_format=torch.channels_last)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.stride == (1, 1) and layer.groups == 1:
            layer.forward = _quick(layer)  # type: ignore[method-assign]
        elif isinstance(layer, nn.GroupNorm):
            layer.forward = _quick_norm(layer)  # type: ignore[method-assign]


def _quick(layer: nn.Conv2d) -> Any:
    pointwise = layer.kernel_size == (1, 1) and layer.padding == (0, 0)
    shifted = layer.kernel_size == (3, 3) and layer.padding == (1, 1)

    def forward(x: Tensor) -> Tensor:
        if pointwise:
            weight = layer.weight.flatten(1)
            return F.linear(x.permute(0, 2, 3, 1), weight, layer.bias).permute(0, 3, 1, 2)
        if shifted and x.shape[-1] <= SMALL and layer.bias is not None:
            dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
            weight = layer.weight.permute(0, 2, 3, 1).flatten(1).to(dtype)
            drawn: Tensor = _Shifted.apply(x.permute(0, 2, 3, 1).to(dtype), weight)
            return (drawn + layer.bias.to(dtype)).permute(0, 3, 1, 2)
        return nn.Conv2d.forward(layer, x)

    return forward


def _quick_norm(layer: nn.GroupNorm) -> Any:
    def forward(x: Tensor) -> Tensor:
        if x.ndim != 4:
            return nn.GroupNorm.forward(layer, x)
        b, c, h, w = x.shape
        flat = x.permute(0, 2, 3, 1).reshape(b, h * w, c)
        normed: Tensor = _GroupNorm.apply(flat, layer.weight, layer.bias, layer.num_groups, layer.eps)
        return normed.view(b, h, w, c).permute(0, 3, 1, 2)

    return forward
