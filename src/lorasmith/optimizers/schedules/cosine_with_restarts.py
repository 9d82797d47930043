"""Cosine with restarts: half waves one after another."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import Field

from lorasmith.optimizers.schedules.schedule import Schedule, ScheduleOptions, ScheduleWords


class RestartOptions(ScheduleOptions):
    """How often it starts."""

    cycles: Annotated[int, Field(ge=1)] = Field(default=1, description="restarts")

    tolerated: ClassVar[frozenset[str]] = frozenset(("cycles",))  # presets give it, whatever is then chosen


def _factor(progress: float, options: RestartOptions) -> float:
    if progress >= 1:
        return 0.0
    return max(0.0, 0.5 * (1 + math.cos(math.pi * ((options.cycles * progress) % 1.0))))


SCHEDULE = Schedule(
    name="cosine_with_restarts",
    factor=_factor,
    options=RestartOptions,
    words=ScheduleWords(
        kohya="cosine_with_restarts", arguments={"lr_scheduler_num_cycles": "cycles"}, hub="cosine_with_restarts"
    ),
)
