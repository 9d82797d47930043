"""Polynomial: down to 0 by a power. (transformers' ends by default at a rate of 1e-7.)"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lorasmith.optimizers.schedules.schedule import Schedule, ScheduleOptions, ScheduleWords


class PolynomialOptions(ScheduleOptions):
    """Which power."""

    power: Annotated[float, Field(gt=0, le=10)] = Field(default=1, description="which power; 1 is linear")


def _factor(progress: float, options: PolynomialOptions) -> float:
    return float(max(0.0, 1 - progress) ** options.power)


SCHEDULE = Schedule(
    name="polynomial",
    factor=_factor,
    options=PolynomialOptions,
    words=ScheduleWords(kohya="polynomial", arguments={"lr_scheduler_power": "power"}),
)
