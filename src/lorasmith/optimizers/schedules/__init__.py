"""The learning-rate schedules, a file each; the same forms as transformers', which kohya uses."""

from __future__ import annotations

from lorasmith.optimizers.schedules.schedule import Schedule
from lorasmith.registry import Registry

SCHEDULES: Registry[Schedule] = Registry("a learning-rate schedule", __name__, "SCHEDULE")
