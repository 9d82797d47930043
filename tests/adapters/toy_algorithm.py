"""An algorithm that only tests know: LoRA under other names, with an option of its own. One line registers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from lorasmith.adapters.algorithms.algorithm import Algorithm, Cost, Options
from lorasmith.adapters.layers.factors import Fresh, LayerAdapter, LayerFactors, read_alpha
from lorasmith.adapters.layers.weights import WeightAdapter


class ToyOptions(Options):
    """How far the random side reaches."""

    reach: Annotated[float, Field(gt=0)] = Field(default=0.1, description="size of the first numbers")


@dataclass(frozen=True, eq=False)
class ToyFactors(LayerFactors):
    """`left` (o, r) and `right` (r, n), n = i * kh * kw: delta W = alpha / rank * left @ right."""

    algorithm: ClassVar[str] = "toy"
    proportional = False
    flattens = True

    left: Tensor
    right: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        return int(self.right.shape[0])

    @classmethod
    def initial(cls, weight: Tensor, fresh: Fresh) -> Self:
        right = torch.randn(fresh.rank, weight[0].numel(), generator=fresh.generator) * fresh.own(ToyOptions).reach
        return cls(torch.zeros(weight.shape[0], fresh.rank), right, float(fresh.alpha))

    @classmethod
    def claims(cls, tensors: Mapping[str, Tensor]) -> bool:
        return {"toy_left", "toy_right"} <= tensors.keys() <= {"toy_left", "toy_right", "alpha"}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        right = tensors["toy_right"].float()
        return cls(tensors["toy_left"].float(), right, read_alpha(tensors, right.shape[0]))

    def to_tensors(self) -> dict[str, Tensor]:
        return {"toy_left": self.left, "toy_right": self.right, "alpha": torch.tensor(float(self.alpha))}

    def trained(self) -> dict[str, Tensor]:
        return {"left": self.left, "right": self.right}

    def with_trained(self, tensors: Mapping[str, Tensor]) -> Self:
        return replace(self, **cast(Any, tensors))

    @property
    def extent(self) -> tuple[int | None, ...]:
        return self.left.shape[0], self.right.shape[1]

    def delta_weight(self, weight: Tensor) -> Tensor:
        return (self.scale * self.left @ self.right).reshape(weight.shape).to(weight.device)

    @classmethod
    def layer_adapter(cls, layer: nn.Module, stack: Sequence[Self]) -> LayerAdapter:
        return WeightAdapter(layer, stack)


TOY = Algorithm(
    name="toy",
    title="a toy",
    factors=ToyFactors,
    options=ToyOptions,
    cost=Cost(time=2.0, conv_time=2.5, per_rank=3.0),
    trainable=True,
    switches=frozenset(("dora",)),
)
