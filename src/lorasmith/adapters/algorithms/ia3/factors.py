"""(IA)^3 (Liu et al. 2022): a scale per channel. delta W = W * w, on the output's channels or on the input's.

Stored is w, the multiplier less one, as lycoris does (PEFT stores the multiplier). The layer's bias stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.layers.changes import add_changes
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors
from lorasmith.adapters.layers.strengths import Strengths
from lorasmith.adapters.layers.weights import apply_weight
from lorasmith.diffusion.transfer import send


@dataclass(frozen=True, eq=False)
class Ia3Factors(LayerFactors):
    """`weight` (c,), for a convolution (1, c, 1, 1) as the file has it; `on_input` tells whose channels."""

    algorithm: ClassVar[str] = "ia3"

    weight: Tensor
    on_input: bool = False
    alpha: float | None = None

    @property
    def rank(self) -> int:
        return 1

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:  # noqa: ARG003
        """Zero, on the output."""
        o = weight.shape[0]
        return cls(torch.zeros(o) if weight.ndim == 2 else torch.zeros(1, o, *(1,) * (weight.ndim - 2)))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return tensors.keys() == {"weight", "on_input"}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        weight, on_input = tensors["weight"].float(), tensors["on_input"]
        if weight.numel() != max(weight.shape, default=0) or on_input.numel() != 1:
            raise ValueError(f"weight {tuple(weight.shape)} is no row of channel scales")
        return cls(weight, bool(on_input.item()))

    def to_tensors(self) -> dict[str, Tensor]:
        return {"weight": self.weight, "on_input": torch.tensor(float(self.on_input))}

    def trained(self) -> dict[str, Tensor]:
        return {"weight": self.weight}

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, weight=tensors["weight"])

    @property
    def extent(self) -> tuple[int | None, ...]:
        channels = self.weight.numel()
        return (None, channels) if self.on_input else (channels, None)

    def shape_fault(self, weight: Tensor) -> str | None:
        if weight.shape[1 if self.on_input else 0] == self.weight.numel():
            return None
        side = "input" if self.on_input else "output"
        return f"made for {self.weight.numel()} {side} channels, the layer has {weight.shape[int(self.on_input)]}"

    def delta_weight(self, weight: Tensor) -> Tensor:
        shape = [1] * weight.ndim
        shape[int(self.on_input)] = -1
        return weight.float() * self.weight.to(weight.device).view(shape)

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        if all(factors.on_input for factors in stack):
            return Ia3InputAdapter(layer, stack)
        if any(factors.on_input for factors in stack):
            return Ia3MixedAdapter(layer, stack)
        return Ia3OutputAdapter(layer, stack)


class _Ia3Adapter(LayerAdapter):
    def _scales(self, strengths: Strengths, like: Tensor) -> Tensor:
        """The sum of strength * w over the active adapters, shaped to multiply `like`: (rows or 1, ..., channels)."""
        w = torch.stack([self.tensor(k, "weight").flatten() for k in strengths.active])
        rows = send(torch.tensor([strengths.shared]), w.device) if strengths.rows is None else strengths.rows
        mixed = (rows @ w).to(like.dtype)
        if isinstance(self.layer, nn.Conv2d):
            return mixed[:, :, None, None]
        return mixed.reshape(mixed.shape[0], *(1,) * (like.ndim - 2), mixed.shape[1])


class Ia3OutputAdapter(_Ia3Adapter):
    """A scale of what the layer gives, less its bias."""

    reads_output = True

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:  # noqa: ARG002
        bias = self.layer.bias
        if bias is not None:
            frozen = frozen - (bias[:, None, None] if isinstance(self.layer, nn.Conv2d) else bias)
        return torch.addcmul(y, frozen, self._scales(strengths, frozen))


class Ia3InputAdapter(_Ia3Adapter):
    """A scale of what the layer gets: one run of the layer when nothing else acts on it."""

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:  # noqa: ARG002
        return y + apply_weight(self.layer, x * self._scales(strengths, x), self.layer.weight, None)

    def run(self, original: Callable[[Tensor], Tensor], x: Tensor, strengths: Strengths) -> Tensor:
        return original(torch.addcmul(x, x, self._scales(strengths, x)))


class Ia3MixedAdapter(LayerAdapter):
    """Some of the stack on the input, some on the output: each for itself."""

    def add(self, x: Tensor, y: Tensor, strengths: Strengths, frozen: Tensor) -> Tensor:  # noqa: ARG002
        layer = self.layer
        convolves = isinstance(layer, nn.Conv2d)

        def change(k: int, x_rows: Tensor, rows: Tensor | None) -> Tensor:  # noqa: ARG001
            w: Any = self.tensor(k, "weight").flatten().to(x_rows.dtype)
            w = w[:, None, None] if convolves else w
            if cast(Ia3Factors, self._stack[k]).on_input:
                return apply_weight(layer, x_rows * w, layer.weight, None)
            return cast(Tensor, apply_weight(layer, x_rows, layer.weight, None) * w)

        return add_changes(x, y, strengths, change)
