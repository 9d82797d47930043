"""Small charts: where their bars stand. The pages' templates draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BINS = 20
_WIDTH, _HEIGHT, _FOOT, _HEAD = 300, 90, 16, 18


@dataclass(frozen=True)
class Bar:
    """One bar, in pixels from the upper left corner; `over`: beyond the limit."""

    x: float
    y: float
    width: float
    height: float
    over: bool
    text: str


@dataclass(frozen=True)
class Histogram:
    """A chart of `width` by `height` pixels; `base` is where the bars stand, `top` the end of the scale."""

    title: str
    bars: tuple[Bar, ...]
    top: str
    width: int = _WIDTH
    height: int = _HEAD + _HEIGHT + _FOOT
    base: int = _HEAD + _HEIGHT


def plan_histogram(
    title: str, values: Sequence[float], limit: float | None = None, top: float | None = None
) -> Histogram | None:
    """How `values` are spread, from 0 to `top` (by default the largest): each bar names its range and count.

    Bars over `limit` are marked. None without values.
    """
    if not values:
        return None
    top = max(top or 0.0, *values, limit or 0.0) or 1.0
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(BINS * value / top))] += 1
    highest, width = max(counts), _WIDTH / BINS
    bars = []
    for place, count in enumerate(counts):
        low, high = top * place / BINS, top * (place + 1) / BINS
        height = (_HEIGHT - 2) * count / highest + (2 if count else 0)
        text = f"{_number(low)} to {_number(high)}: {count}"
        over = limit is not None and low >= limit
        bars.append(Bar(place * width + 1, _HEAD + _HEIGHT - height, width - 2, height, over, text))
    return Histogram(title, tuple(bars), _number(top))


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
