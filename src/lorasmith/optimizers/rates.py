"""The learning rate over a run, as a pure function of the step."""

from __future__ import annotations

from dataclasses import dataclass

from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.optimizers.schedules.schedule import ScheduleOptions


@dataclass(frozen=True)
class RateSchedule:
    """The factor on the learning rate over `steps`; `warmup` in steps, or below 1 as a share of `steps`. `options` are
    those of the schedule of this name, None for its defaults."""

    name: str
    steps: int
    warmup: float = 0.0
    options: ScheduleOptions | None = None

    @property
    def warmup_steps(self) -> int:
        return int(self.warmup * self.steps if self.warmup < 1 else self.warmup)

    def factor(self, step: int) -> float:
        """The factor of the step that follows `step` finished ones. With warm-up the first is 0, as transformers'."""
        warmup = self.warmup_steps
        if step < warmup:
            return step / max(1, warmup)
        schedule = SCHEDULES[self.name]
        progress = (step - warmup) / max(1, self.steps - warmup)
        return schedule.factor(progress, schedule.options() if self.options is None else self.options)
