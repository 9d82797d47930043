"""Cosine: half a wave down to 0."""

from __future__ import annotations

import math

from lorasmith.optimizers.schedules.schedule import Schedule, ScheduleWords

SCHEDULE = Schedule(
    name="cosine",
    factor=lambda progress, _options: max(0.0, 0.5 * (1 + math.cos(math.pi * progress))),
    words=ScheduleWords(kohya="cosine", hub="cosine"),
)
