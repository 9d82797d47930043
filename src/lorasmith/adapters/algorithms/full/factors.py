"""Full difference: delta W itself, and the bias's, as a fine-tuned model less its base. No rank, no alpha.

A file may hold the difference of the bias alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors
from lorasmith.adapters.layers.weights import WeightAdapter

DIFF, DIFF_B = "diff", "diff_b"


@dataclass(frozen=True, eq=False)
class FullFactors(LayerFactors):
    """`diff` of the weight's shape, or None; `diff_b` (o,), or None."""

    algorithm: ClassVar[str] = "full"
    proportional = False

    diff: Tensor | None
    diff_b: Tensor | None = None
    alpha: float | None = None

    @property
    def rank(self) -> int:
        """The most a matrix of this shape can have."""
        return 1 if self.diff is None else min(self.diff.flatten(1).shape)

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:  # noqa: ARG003
        """Zero; no bias, which a layer may lack."""
        return cls(torch.zeros(weight.shape))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return bool(tensors.keys()) and tensors.keys() <= {DIFF, DIFF_B}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        diff, diff_b = (tensors[key].float() if key in tensors else None for key in (DIFF, DIFF_B))
        if diff is not None and (diff.ndim not in (2, 4) or min(diff.shape) < 1):
            raise ValueError(f"diff has the shape {tuple(diff.shape)}")
        if diff_b is not None and (diff_b.ndim != 1 or (diff is not None and diff_b.shape[0] != diff.shape[0])):
            raise ValueError(f"diff_b has the shape {tuple(diff_b.shape)}")
        return cls(diff, diff_b)

    def to_tensors(self) -> dict[str, Tensor]:
        return self.trained()

    def trained(self) -> dict[str, Tensor]:
        return {key: each for key, each in ((DIFF, self.diff), (DIFF_B, self.diff_b)) if each is not None}

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, diff=tensors.get(DIFF), diff_b=tensors.get(DIFF_B))

    @property
    def extent(self) -> tuple[int | None, ...]:
        if self.diff is not None:
            return tuple(self.diff.shape)
        return None if self.diff_b is None else self.diff_b.shape[0], None

    def delta_weight(self, weight: Tensor) -> Tensor:
        if self.diff is None:
            return torch.zeros(weight.shape, device=weight.device)
        return self.diff.reshape(weight.shape).to(weight.device)

    def delta_bias(self) -> Tensor | None:
        return self.diff_b

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        return WeightAdapter(layer, stack)
