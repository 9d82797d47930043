"""Solve repeats from roles: the wanted influence of the primaries (D16) at the wanted length of the run (R7)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lorasmith.dataset.decisions import MOST_REPEATS
from lorasmith.dataset.reading import Item
from lorasmith.errors import UsageError

INFLUENCE = 2.0
"""How much the primaries weigh together against all others, by default (D16)."""

TOLERANCE = 0.125
"""An influence this share off still counts as reached: 58 x 5 against 164 x 1 is 1.77 and "about double"."""

Steps = Callable[[int, int], int]
"""(repeats of primaries, repeats of others) -> optimizer steps of the whole run."""


@dataclass(frozen=True)
class GroupShare:
    """One group of an epoch: `name` is "primary", "supporting" or "all"; `views` is images x repeats; `share` 0..1."""

    name: str
    images: int
    repeats: int
    views: int
    share: float


@dataclass(frozen=True)
class Solution:
    """Repeats for the groups. `influence`: what the primaries weigh against the others, None with one group; `steps`
    and `target` of the run, None where no target was given."""

    primary: int
    supporting: int
    shares: tuple[GroupShare, ...]
    influence: float | None
    steps: int | None
    target: int | None

    def repeats_of(self, item: Item) -> int:
        """The repeats of an image."""
        return self.primary if item.role == "primary" else self.supporting


def solve_repeats(
    items: Sequence[Item], *, influence: float = INFLUENCE, target: int | None = None, steps: Steps | None = None
) -> Solution:
    """The repeats for primaries and for all others, each 1 to 999.

    First the influence: images x repeats of the primaries over those of the others comes within an eighth of
    `influence` (or, where no repeats do, as near as can be). Among those, with a `target`, the steps come closest to
    it, then the influence is nearest, then the views are fewest; without one, the views are fewest, then the influence
    is nearest. With one group only the target counts. Raises UsageError for an influence or target out of range, or a
    target without `steps`.
    """
    if not 0.01 <= influence <= 100:
        raise UsageError(f"influence {influence:g} is out of range.", hint="Give a number from 0.01 to 100, such as 2.")
    if target is not None and target < 1:
        raise UsageError(f"{target} steps is out of range.", hint="Give a number of at least 1.")
    if target is not None and steps is None:
        raise UsageError("a target needs to know how steps are counted.")
    primaries = sum(1 for item in items if item.role == "primary")
    others = len(items) - primaries
    count = steps or (lambda _first, _second: 0)
    if primaries and others:
        chosen = _both(primaries, others, influence, target, count)
    else:
        chosen = _one(target, count)
    return _solution(primaries, others, *chosen, target=target, steps=steps)


def view_steps(primaries: int, others: int, *, batch: int, epochs: int = 1) -> Steps:
    """Steps where every batch is full, whatever the buckets: views / batch rounded up, times epochs."""
    return lambda first, second: epochs * -(-(primaries * first + others * second) // batch)


def _one(target: int | None, steps: Steps) -> tuple[int, int]:
    """One group: the repeats whose steps come closest to the target; of equals the more (R2: overshoot)."""
    if target is None:
        return 1, 1
    low, high = 1, MOST_REPEATS
    while low < high:
        middle = (low + high) // 2
        if steps(middle, middle) < target:
            low = middle + 1
        else:
            high = middle
    best = min((low, max(1, low - 1)), key=lambda repeats: (abs(steps(repeats, repeats) - target), -repeats))
    return best, best


def _both(primaries: int, others: int, influence: float, target: int | None, steps: Steps) -> tuple[int, int]:
    """Every pair that reaches the influence, until views or steps only grow away; else the nearest pair of all."""
    best: tuple[float, ...] | None = None
    chosen = None
    for second in range(1, MOST_REPEATS + 1):
        exact = influence * others * second / primaries
        first_ones = range(
            max(1, math.ceil(exact * (1 - TOLERANCE))), min(MOST_REPEATS, math.floor(exact * (1 + TOLERANCE))) + 1
        )
        if not first_ones:
            continue
        least = first_ones[0]
        grown = primaries * least + others * second if target is None else steps(least, second) - target
        if best is not None and grown > best[0]:  # views and steps only grow from here
            break
        for first in first_ones:
            views, off = primaries * first + others * second, abs(math.log(first / exact))
            rank = (views, off) if target is None else (abs(steps(first, second) - target), off, views)
            if best is None or rank < best:
                best, chosen = rank, (first, second)
    return chosen or _nearest(primaries, others, influence)


def _nearest(primaries: int, others: int, influence: float) -> tuple[int, int]:
    """The pair whose influence is nearest where none is within the tolerance."""
    ratio = influence * others / primaries
    if ratio >= 1:
        return min(MOST_REPEATS, max(1, round(ratio))), 1
    return 1, min(MOST_REPEATS, max(1, round(1 / ratio)))


def _solution(
    primaries: int, others: int, first: int, second: int, *, target: int | None, steps: Steps | None
) -> Solution:
    total = primaries * first + others * second
    groups = [("primary", primaries, first), ("supporting", others, second)]
    present = [group for group in groups if group[1]]
    shares = tuple(
        GroupShare(name if len(present) > 1 else "all", count, repeats, count * repeats, count * repeats / total)
        for name, count, repeats in present
    )
    reached = primaries * first / (others * second) if len(present) > 1 else None
    return Solution(first, second, shares, reached, steps(first, second) if steps else None, target)
