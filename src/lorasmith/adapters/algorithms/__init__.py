"""The adapter algorithms, a folder each: what it says of itself in `__init__.py`, torch-free, its factors beside it."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm
from lorasmith.registry import Registry

ALGORITHMS: Registry[Algorithm] = Registry("an algorithm", __name__, "ALGORITHM")
