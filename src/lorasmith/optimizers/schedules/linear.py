"""Linear: down to 0."""

from __future__ import annotations

from lorasmith.optimizers.schedules.schedule import Schedule, ScheduleWords

SCHEDULE = Schedule(
    name="linear",
    factor=lambda progress, _options: max(0.0, 1 - progress),
    words=ScheduleWords(kohya="linear", hub="linear"),
)
