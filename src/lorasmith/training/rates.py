"""Learning-rate schedules as pure functions of the step. Same forms as transformers' (which kohya uses).

One difference: polynomial ends at 0, theirs by default at a rate of 1e-7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class RateSchedule:
    """The factor on the learning rate over `steps`; `warmup` in steps, or below 1 as a share of `steps`."""

    name: str
    steps: int
    warmup: float = 0.0
    cycles: int = 1
    power: float = 1.0

    @property
    def warmup_steps(self) -> int:
        return int(self.warmup * self.steps if self.warmup < 1 else self.warmup)

    def factor(self, step: int) -> float:
        """The factor of the step that follows `step` finished ones. With warm-up the first is 0, as there."""
        warmup = self.warmup_steps
        if step < warmup:
            return step / max(1, warmup)
        progress = (step - warmup) / max(1, self.steps - warmup)
        if self.name == "constant":
            return 1.0
        if self.name == "linear":
            return max(0.0, 1 - progress)
        if self.name == "cosine":
            return max(0.0, 0.5 * (1 + math.cos(math.pi * progress)))
        if self.name == "polynomial":
            return float(max(0.0, 1 - progress) ** self.power)
        if self.name == "rex":
            # Chen et al. 2022: z / (1/2 + z/2), z the share of the steps that is left.
            left = max(0.0, 1 - progress)
            return left / (0.5 + 0.5 * left)
        assert self.name == "cosine_with_restarts", self.name
        if progress >= 1:
            return 0.0
        return max(0.0, 0.5 * (1 + math.cos(math.pi * ((self.cycles * progress) % 1.0))))
