"""Timing in alternation: the machine's speed drifts, so all sides take turns and medians are compared."""

from __future__ import annotations

import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping


def alternate(
    sides: Mapping[str, Callable[[], object]],
    rounds: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each side over `rounds` rounds, after `warmup` uncounted ones.

    Every round has an order of its own: what a side leaves in the caches is not always the same one's gain or loss.
    """
    chance = random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(warmup + rounds):
        for name, call in chance.sample(list(sides.items()), len(sides)):
            start = clock()
            call()
            if turn >= warmup:
                seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def machine() -> str:
    """The machine, for absolute times: processor architecture, cores, Python."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def ratio_line(name: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> str:
    """``ratio: NAME = VALUE (goal <= GOAL)``, the form of every benchmark's last lines."""
    goal = f"<= {at_most:g}" if at_most is not None else f">= {at_least:g}"
    return f"ratio: {name} = {value:.3f} (goal {goal})"
