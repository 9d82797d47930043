"""Frozen weights kept in a byte each, and widened to the numbers that the base computes in where they are used.

A compressed layer still is a linear layer or a convolution: its `weight` is the widened one, made anew whenever it is
read, so that whatever acts beside the layer or reads it sees what the layer computes with. Nothing keeps it: a
backward pass widens it again. Shapes: o and i a layer's output and input channels, kh and kw its kernel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input

from lorasmith.bases.block_swap import home_of
from lorasmith.bases.pointwise import Pointwise
from lorasmith.bases.precision import Weights

_FP8 = torch.float8_e4m3fn
_INT8_MAX = 127.0
_PORTION = 2**20
"""Weights that are compressed at once: little is needed besides the result."""


def compress(weight: Tensor, form: Weights) -> tuple[Tensor, Tensor]:
    """`weight` (o, ...) as codes of its shape, a byte each, and fp32 scales (o, 1, ...): codes x scales is about it.

    "int8": whole numbers from -127 to 127. "fp8": e4m3, three bits of mantissa, so that small weights keep their
    digits. A scale for each output row: one for the whole tensor loses more where rows differ (docs/precision.md).
    """
    most = torch.finfo(_FP8).max if form == "fp8" else _INT8_MAX
    codes = torch.empty_like(weight, dtype=_FP8 if form == "fp8" else torch.int8)
    scales = torch.empty(weight.shape[0], *(1,) * (weight.ndim - 1), device=weight.device)
    rows = max(1, _PORTION // weight[0].numel())
    for start in range(0, weight.shape[0], rows):
        part = slice(start, start + rows)
        wide = weight[part].detach().float()
        largest = wide.flatten(1).abs().amax(1).view(-1, *(1,) * (weight.ndim - 1))
        scales[part] = torch.where(largest > 0, largest / most, 1.0)
        scaled = (wide / scales[part]).clamp_(-most, most)
        codes[part] = scaled.to(_FP8) if form == "fp8" else scaled.round_()
    return codes, scales


class Overlay:
    """What stands before a compressed weight: while `data` is a tensor, it is the layer's weight."""

    data: Tensor | None = None


class _Compressed(nn.Module):
    """What compressed layers share: buffers `codes` and `scales`, and a `weight` made of them."""

    codes: Tensor
    scales: Tensor
    overlay: Overlay
    wide_dtype: torch.dtype

    @property
    def weight(self) -> Tensor:
        """The weight in the numbers that the layer computes in; a new tensor every time."""
        if self.overlay.data is not None:
            return self.overlay.data
        return self.codes.to(self.wide_dtype).mul_(self.scales)


class CompressedLinear(_Compressed, nn.Linear):  # type: ignore[override]
    """A linear layer of which a byte is kept for each weight."""

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_grad_enabled() and input.requires_grad:
            return cast(Tensor, _widened_linear(self, input))
        return F.linear(input, self.weight, self.bias)


class CompressedConv2d(_Compressed, nn.Conv2d):  # type: ignore[override]
    """A convolution of which a byte is kept for each weight."""

    def forward(self, input: Tensor) -> Tensor:
        # Round the edges nobody trains, so that torch may keep the weight there.
        if torch.is_grad_enabled() and input.requires_grad and self.padding_mode == "zeros":
            return cast(Tensor, _widened_conv(self, input))
        return cast(Tensor, self._conv_forward(input, self.weight, self.bias))


_KINDS: dict[type[nn.Module], type[_Compressed]] = {
    nn.Linear: CompressedLinear,
    nn.Conv2d: CompressedConv2d,
    Pointwise: CompressedConv2d,
}


def compressible_layers(model: nn.Module, kept_wide: Collection[str] = ()) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a model that can be kept compressed, by their paths; not those in parts that are `kept_wide`."""
    for path, layer in model.named_modules():
        if type(layer) in _KINDS and not set(kept_wide) & set(path.split(".")):
            yield path, layer


def turn_compressed(layer: nn.Module, codes: Tensor, scales: Tensor, dtype: torch.dtype) -> None:
    """Let a plain layer have this compressed weight, widened to `dtype`, from now on. Its bias stays its own."""
    kind = _KINDS[type(layer)]
    del layer._parameters["weight"]
    layer.register_buffer("codes", codes)
    layer.register_buffer("scales", scales)
    # NOTE: the layer stays the same object, with its place in the model, its stride and its padding.
    layer.__class__ = kind
    turned = cast(_Compressed, layer)
    turned.overlay, turned.wide_dtype = Overlay(), dtype


def compress_model(model: nn.Module, form: Weights, dtype: torch.dtype, kept_wide: Collection[str] = ()) -> None:
    """Compress every layer of a frozen model that can be, one after another, and bring the rest to `dtype`."""
    for _, layer in list(compressible_layers(model, kept_wide)):
        turn_compressed(layer, *compress(cast(nn.Linear, layer).weight, form), dtype)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)


def weight_place(layer: nn.Module) -> nn.Parameter | Overlay:
    """Where another weight can be put before the layer's own, in `data`, and taken away again: bit for bit."""
    return layer.overlay if isinstance(layer, _Compressed) else cast(nn.Parameter, layer.weight)


def weight_storage(layer: nn.Module) -> Tensor:
    """The memory that the layer's weight is made of now, where it lives; another one means another weight."""
    if not isinstance(layer, _Compressed):
        return home_of(cast(nn.Parameter, layer.weight)).data
    return home_of(layer.codes) if layer.overlay.data is None else layer.overlay.data


class _WidenedLinear(Function):
    """A frozen linear layer that keeps nothing for the backward pass."""

    @staticmethod
    def forward(ctx: Any, layer: CompressedLinear, x: Tensor) -> Tensor:
        ctx.layer = layer
        return F.linear(x, layer.weight, layer.bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[None, Tensor]:
        return None, g @ ctx.layer.weight


class _WidenedConv(Function):
    """A frozen convolution that keeps only its input's shape for the backward pass."""

    @staticmethod
    def forward(ctx: Any, layer: CompressedConv2d, x: Tensor) -> Tensor:
        ctx.layer, ctx.shape = layer, x.shape
        return cast(Tensor, layer._conv_forward(x, layer.weight, layer.bias))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[None, Tensor]:
        layer = ctx.layer
        grad_x = conv2d_input(  # type: ignore[no-untyped-call]
            ctx.shape, layer.weight, g, layer.stride, layer.padding, layer.dilation, layer.groups
        )
        return None, grad_x


_widened_linear: Any = _WidenedLinear.apply
_widened_conv: Any = _WidenedConv.apply
