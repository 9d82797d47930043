"""What a grid will cost, before it is drawn."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lorasmith.errors import LorasmithError
from lorasmith.events import Progress, Work
from lorasmith.generation.grids.drawing import Order, batches_of
from lorasmith.generation.grids.workers import OpenPipeline

#: From so many steps of single pictures on, the time is worth measuring: about half a minute on the embedded base.
WORTH_MEASURING = 600


@dataclass(frozen=True)
class Cost:
    """`pictures` are the distinct ones, `kept` those that lie there from before; `steps` are over all pictures to
    draw; `seconds` is None where it was not measured. `reasons` is why cells cannot be drawn, and how many for each."""

    cells: int
    impossible: int
    pictures: int
    kept: int
    steps: int
    seconds: float | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Every field by its name."""
        return asdict(self)

    def __str__(self) -> str:
        """One line for a person."""
        parts = [f"{self.cells} cell{'s' if self.cells != 1 else ''}"]
        if self.pictures != self.cells - self.impossible:
            parts.append(f"{self.pictures} different pictures")
        if self.impossible:
            parts.append(f"{self.impossible} that cannot be drawn")
        if self.kept:
            parts.append(f"{self.kept} drawn before")
        left = self.pictures - self.kept
        parts.append(f"{left} to draw, {self.steps} steps" if left else "nothing to draw")
        if self.seconds is not None:
            parts.append(f"about {_span(self.seconds)}")
        return ", ".join(parts)


def count_cost(order: Order) -> Cost:
    """Everything but the time."""
    pictures, missing = order.pictures, order.missing
    reasons = Counter(place for place in order.places if isinstance(place, str))
    return Cost(
        cells=len(order.places),
        impossible=reasons.total(),
        pictures=len(pictures),
        kept=len(pictures) - len(missing),
        steps=sum(wanted.spec.steps for wanted in missing),
        reasons=dict(reasons),
    )


def measure_cost(order: Order, open_pipeline: OpenPipeline, clock: Callable[[], float] = time.monotonic) -> Work[Cost]:
    """The cost with its time, from one batch of each base drawn for two steps; small grids are not measured."""
    cost = count_cost(order)
    if cost.steps < WORTH_MEASURING:
        return cost
    seconds = 0.0
    for name in dict.fromkeys(wanted.base for wanted in order.missing):
        pipeline = open_pipeline(name)
        batches = list(batches_of([wanted for wanted in order.missing if wanted.base == name], pipeline))
        trial = [replace(wanted.spec, steps=2, hires=None) for wanted in batches[0]]
        times: list[tuple[float, float]] = []
        with contextlib.suppress(LorasmithError, RuntimeError), contextlib.closing(pipeline.draw(trial)) as work:
            for event in work:
                if isinstance(event, Progress):
                    # Some samplers ask the denoiser more than once a step: count in steps.
                    times.append((clock(), 2 * event.done / max(1, event.total)))
                    yield Progress("measuring", event.done, event.total)
        if len(times) < 2:
            return cost  # what is wrong with the batch is told when it is drawn
        (first, one), (last, two) = times[0], times[-1]
        pace = (last - first) / max(two - one, 0.5) / len(trial)
        seconds += pace * sum(wanted.spec.steps for batch in batches for wanted in batch)
        del pipeline  # before the next base is loaded
    return replace(cost, seconds=seconds)


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
