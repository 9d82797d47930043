"""REX (Chen et al. 2022): z / (1/2 + z/2), z the share of the steps that is left."""

from __future__ import annotations

from lorasmith.optimizers.schedules.schedule import Schedule, ScheduleOptions, ScheduleWords


def _factor(progress: float, _options: ScheduleOptions) -> float:
    left = max(0.0, 1 - progress)
    return left / (0.5 + 0.5 * left)


SCHEDULE = Schedule(name="rex", factor=_factor, words=ScheduleWords(kohya="rex"))
