"""The optimizers, a file each, and the learning-rate schedules. All importable without torch."""

from __future__ import annotations

from lorasmith.optimizers.optimizer import OptimizerEntry
from lorasmith.registry import Registry

OPTIMIZERS: Registry[OptimizerEntry] = Registry("an optimizer", __name__, "OPTIMIZER")
