"""The strength window (C3): at which strengths the adapter serves, and which one to recommend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lorasmith.exam.figures import Figure

#: A strength is usable where so large a share of pictures is right (C2).
USABLE = 0.8
#: The standard error of three scores weighted 1, 2, 1, over a single one's.
SMOOTHED = math.sqrt(6) / 4
#: Beyond the last strength, as long as it still rises.
BEYOND = (1.4, 1.6, 2.0)


@dataclass(frozen=True)
class Point:
    """One strength: hits, pictures with something new and the identity (flexibility), and those that are not whole."""

    strength: float
    hits: Figure
    flexible: Figure
    broken: Figure

    @property
    def score(self) -> float:
        """Two parts hits and one part flexibility, where there is any."""
        if not self.flexible.n:
            return self.hits.value
        return (2 * self.hits.value + self.flexible.value) / 3

    @property
    def error(self) -> float:
        """Standard error of the score, from all its pictures."""
        n, p = self.hits.n + self.flexible.n, min(max(self.score, 0.02), 0.98)
        return math.sqrt(p * (1 - p) / max(1, n))

    def as_json(self) -> dict[str, Any]:
        return {
            "strength": self.strength,
            **self.hits.as_json(),
            "flexibility": self.flexible.as_json(),
            "broken": self.broken.as_json(),
        }


@dataclass(frozen=True)
class Window:
    """`recommended`, and from where to where it is usable around it (None: nowhere)."""

    recommended: float
    low: float | None
    high: float | None
    points: tuple[Point, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "recommended": self.recommended,
            "from": self.low,
            "to": self.high,
            "low": self.low,
            "high": self.high,
            "points": [point.as_json() for point in self.points],
        }

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return (
                f"{self.recommended:g}; usable nowhere from {self.points[0].strength:g} to {self.points[-1].strength:g}"
            )
        return f"{self.recommended:g}; usable from {self.low:g} to {self.high:g}"


def find_window(points: Sequence[Point], given: float | None = None) -> Window:
    """The strength to recommend, or the one that was `given`, and where it is usable.

    Of the strengths whose score is within a standard error of the best, and of these those with USABLE hits where there
    are any, it is the weakest (which leaks less and stacks better) that also stands well among its neighbours: scores
    weighted 1, 2, 1 within their standard error of the best such one. So the foot of a slope is not taken for its top
    by luck of a few pictures. Usable are the strengths next to it, without a gap, with USABLE hits or more.
    """
    ordered = tuple(sorted(points, key=lambda point: point.strength))
    if given is None:
        best = max(ordered, key=lambda point: point.score)
        near = [i for i, point in enumerate(ordered) if point.score >= best.score - best.error]
        good = [i for i in near if ordered[i].hits.value >= USABLE] or near
        among = [_among_neighbours(ordered, i) for i in range(len(ordered))]
        first = max(good, key=lambda i: among[i])
        at = next(i for i in good if among[i] >= among[first] - SMOOTHED * ordered[first].error)
    else:
        at = min(range(len(ordered)), key=lambda i: abs(ordered[i].strength - given))
    recommended = ordered[at].strength if given is None else given
    if ordered[at].hits.value < USABLE:
        return Window(recommended, None, None, ordered)
    low = high = at
    while low > 0 and ordered[low - 1].hits.value >= USABLE:
        low -= 1
    while high < len(ordered) - 1 and ordered[high + 1].hits.value >= USABLE:
        high += 1
    return Window(recommended, ordered[low].strength, ordered[high].strength, ordered)


def _among_neighbours(ordered: Sequence[Point], at: int) -> float:
    """The score with those beside it, weighted 1, 2, 1; an end is its own neighbour."""
    before, after = ordered[max(0, at - 1)], ordered[min(len(ordered) - 1, at + 1)]
    return (before.score + 2 * ordered[at].score + after.score) / 4


def with_hits(window: Window, hits: Figure) -> Window:
    """The window with the hits of the whole exam at its recommended strength, which are more than its own."""
    points = [
        replace(point, hits=hits) if point.strength == window.recommended and hits.n > point.hits.n else point
        for point in window.points
    ]
    return find_window(points, window.recommended)


def still_rises(points: Sequence[Point]) -> bool:
    """Whether the strongest of these is better than the one before it, so that a stronger one is worth a look."""
    ordered = sorted(points, key=lambda point: point.strength)
    return len(ordered) > 1 and ordered[-1].score > ordered[-2].score
