"""Another algorithm's change of a weight, and a change of the layer's bias beside it.

ComfyUI's extraction writes `diff_b` beside a LoRA (`LoraSave`, bias_diff) and its reader adds it to the bias
(`comfy/lora.py`, load_lora). PEFT's `lora_bias` puts it into the second factor, where alpha / rank multiplies it. A
layer without a bias gets one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors
from lorasmith.adapters.layers.weights import WeightAdapter

SHIFT = "diff_b"
_ALONE = ("biased", "full", "norm")
"""What has a bias of its own."""


@dataclass(frozen=True, eq=False)
class BiasedFactors(LayerFactors):
    """`inner` changes the weight; `shift` (o,) is added to the bias."""

    algorithm: ClassVar[str] = "biased"

    inner: LayerFactors
    shift: Tensor

    @property
    def alpha(self) -> float | None:  # type: ignore[override]
        return self.inner.alpha

    @property
    def proportional(self) -> bool:  # type: ignore[override]
        return self.inner.proportional

    @property
    def flattens(self) -> bool:  # type: ignore[override]
        return self.inner.flattens

    @property
    def rank(self) -> int:
        return self.inner.rank

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.algorithm, *self.inner.parts)

    @property
    def near_output(self) -> frozenset[str]:
        return self.inner.near_output

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        """Over LoRA."""
        return cls(LoraFactors.initial(weight, fresh), torch.zeros(weight.shape[0]))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return SHIFT in tensors and _inner_kind(tensors) is not None

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        kind = _inner_kind(tensors)
        assert kind is not None
        inner, shift = kind.from_tensors(_without_shift(tensors)), tensors[SHIFT].float()
        outputs = inner.extent[0]
        if shift.ndim != 1 or outputs not in (None, shift.shape[0]):
            raise ValueError(f"diff_b has the shape {tuple(shift.shape)}")
        return cls(inner, shift)

    def to_tensors(self) -> dict[str, Tensor]:
        return {**self.inner.to_tensors(), SHIFT: self.shift}

    def trained(self) -> dict[str, Tensor]:
        return {**self.inner.trained(), "shift": self.shift}

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        rest = {field: tensor for field, tensor in tensors.items() if field != "shift"}
        return replace(self, inner=self.inner.with_trained(rest), shift=tensors["shift"])

    @property
    def extent(self) -> tuple[int | None, ...]:
        return self.inner.extent

    def shape_fault(self, weight: Tensor) -> str | None:
        fault = self.inner.shape_fault(weight)
        if fault is None and self.shift.shape[0] != weight.shape[0]:
            return f"shifts {self.shift.shape[0]} outputs, the layer has {weight.shape[0]}"
        return fault

    def delta_weight(self, weight: Tensor) -> Tensor:
        return self.inner.delta_weight(weight)

    def delta_bias(self) -> Tensor | None:
        return self.shift

    def add_to(self, total: Tensor, weight: Tensor, strength: float) -> None:
        self.inner.add_to(total, weight, strength)

    def as_product(self, shape: tuple[int, ...], weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.inner.as_product(shape, weight)

    def as_peft(self) -> dict[str, Tensor] | None:
        inner = self.inner.as_peft()
        return None if inner is None else {**inner, "lora_B.bias": self.shift}

    def first_ranks(self, count: int) -> Self:
        return replace(self, inner=self.inner.first_ranks(count))

    def squared_norm(self, weight: Tensor) -> Tensor:
        return self.inner.squared_norm(weight)

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        return WeightAdapter(layer, stack)


def _without_shift(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if key != SHIFT}


def _inner_kind(tensors: Mapping[str, Tensor]) -> type[LayerFactors] | None:
    """The factors that have all these tensors but the shift; None when none have."""
    rest = _without_shift(tensors)
    inner = (entry.kind for name, entry in ALGORITHMS.items() if name not in _ALONE)
    return next((kind for kind in inner if kind.claims(rest)), None)
