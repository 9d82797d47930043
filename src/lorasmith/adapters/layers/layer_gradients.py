"""The way back through a layer: from the gradient of its output to those of its input and of its weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from lorasmith.bases.pointwise import is_pointwise, is_quicker, multiply, weight_gradient


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """What comes back to a linear layer or convolution that took `x` through `weight`: `g`, its output's gradient.

    `layer` tells stride and padding; `weight` may be another than the layer's own, and all have the same numbers.
    """

    layer: nn.Module
    weight: Tensor
    g: Tensor
    x: Tensor

    def input_gradient(self) -> Tensor:
        """The gradient of `x`, in its shape."""
        if is_pointwise(self.layer) and is_quicker(self.x):
            return multiply(self.g.flatten(2), self.weight.flatten(1).T, None).view_as(self.x)
        if isinstance(self.layer, nn.Conv2d):
            return self._through_convolution(0)
        return (self.g.reshape(-1, self.g.shape[-1]) @ self.weight).reshape(self.x.shape)

    def weight_gradient(self) -> Tensor:
        """The gradient of `weight`, in its shape."""
        if is_pointwise(self.layer) and is_quicker(self.x):
            return weight_gradient(self.g.flatten(2), self.x.flatten(2)).view_as(self.weight)
        if isinstance(self.layer, nn.Conv2d):
            return self._through_convolution(1)
        return self.g.reshape(-1, self.g.shape[-1]).T @ self.x.reshape(-1, self.x.shape[-1])

    def _through_convolution(self, which: int) -> Tensor:
        layer = self.layer
        gradients = torch.ops.aten.convolution_backward(
            self.g, self.x, self.weight, None, layer.stride, layer.padding, layer.dilation, False, [0, 0], 1,
            [which == 0, which == 1, False],
        )  # fmt: skip
        return cast(Tensor, gradients[which])
