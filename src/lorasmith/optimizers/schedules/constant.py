"""Constant: the full rate all along."""

from __future__ import annotations

from lorasmith.optimizers.schedules.schedule import Schedule, ScheduleWords

SCHEDULE = Schedule(
    name="constant",
    factor=lambda _progress, _options: 1.0,
    words=ScheduleWords(
        kohya="constant", warming="constant_with_warmup", also=("constant_with_warmup",), hub="constant"
    ),
)
