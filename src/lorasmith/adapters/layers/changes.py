"""Changes of a layer's output, added up with their strengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from lorasmith.adapters.layers.strengths import Strengths


def convolve(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` through another kernel at the layer's stride and padding, also where the layer goes round the edges."""
    padding = layer.padding
    if layer.padding_mode == "circular":
        x, padding = F.pad(x, layer._reversed_padding_repeated_twice, mode="circular"), (0, 0)
    return F.conv2d(x, weight, bias, layer.stride, padding, layer.dilation)


def add_changes(
    x: Tensor, y: Tensor, strengths: Strengths, change: Callable[[int, Tensor, Tensor | None], Tensor]
) -> Tensor:
    """`y` plus, for every active adapter, strength * change(position in the stack, its rows of x, their numbers)."""
    for j, k in enumerate(strengths.active):
        rows, weights = strengths.share(j)
        if rows is None or not isinstance(weights, Tensor):
            y = y.add(change(k, x, None), alpha=cast(float, weights))
            continue
        delta = change(k, x[rows], rows)
        y = y.index_add(0, rows, delta * weights.to(delta.dtype).view(-1, *(1,) * (delta.ndim - 1)))
    return y
