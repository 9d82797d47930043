"""An optimizer that only tests know: heavy ball, with an option of its own. One line registers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from lorasmith.optimizers.flat import FlatGroup
from lorasmith.optimizers.optimizer import OptimizerEntry, OptimizerOptions


class HeavyBallOptions(OptimizerOptions):
    """What it keeps of its way."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.9, description="what it keeps per step")


class HeavyBall:
    """x -= rate * m, m = momentum * m + gradient."""

    def __init__(self, groups: Sequence[FlatGroup], options: HeavyBallOptions) -> None:
        self._groups, self._momentum = groups, options.momentum
        self._memory = {group.name: torch.zeros_like(group.data) for group in groups}
        self.description = f"toy.HeavyBall(momentum={options.momentum:g})"

    def step(self, rates: Mapping[str, float]) -> None:
        for group in self._groups:
            memory = self._memory[group.name].mul_(self._momentum).add_(group.grad)
            group.data.sub_(memory, alpha=rates[group.name])

    def state(self) -> dict[str, Tensor]:
        return dict(self._memory)

    def load(self, state: Mapping[str, Tensor]) -> None:
        for name, memory in self._memory.items():
            memory.copy_(state[name])

    @contextmanager
    def settled(self) -> Iterator[None]:
        yield


HEAVY_BALL = OptimizerEntry(
    name="heavy_ball",
    build=HeavyBall,
    remembers=1000,
    options=HeavyBallOptions,
    about="rolls on",
    preset={"lr": {"unet": 0.05, "text_encoder": 0.05}},
)
