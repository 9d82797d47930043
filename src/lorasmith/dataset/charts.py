"""Small charts as inline SVG and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

BINS = 20
_WIDTH, _HEIGHT, _FOOT, _HEAD = 300, 90, 16, 18


def draw_bar(share: float) -> str:
    """A bar filled by a share of 0 to 1."""
    return f'<div class="scale"><div style="width:{100 * min(1.0, max(0.0, share)):.1f}%"></div></div>'


def draw_histogram(title: str, values: Sequence[float], limit: float | None = None, top: float | None = None) -> str:
    """How `values` are spread, from 0 to `top` (by default the largest): each bar names its range and count.

    Bars over `limit` are marked. Empty without values.
    """
    if not values:
        return ""
    top = max(top or 0.0, *values, limit or 0.0) or 1.0
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(BINS * value / top))] += 1
    highest, width = max(counts), _WIDTH / BINS
    bars = []
    for place, count in enumerate(counts):
        low, high = top * place / BINS, top * (place + 1) / BINS
        height = (_HEIGHT - 2) * count / highest + (2 if count else 0)
        over = ' class="over"' if limit is not None and low >= limit else ""
        bars.append(
            f'<rect{over} x="{place * width + 1:.1f}" y="{_HEAD + _HEIGHT - height:.1f}" width="{width - 2:.1f}"'
            f' height="{height:.1f}"><title>{_number(low)} to {_number(high)}: {count}</title></rect>'
        )
    base = _HEAD + _HEIGHT
    return (
        f'<svg width="{_WIDTH}" height="{base + _FOOT}" role="img" aria-label="{escape(title)}">'
        f'<text x="0" y="11">{escape(title)}</text>{"".join(bars)}'
        f'<line x1="0" x2="{_WIDTH}" y1="{base}" y2="{base}"/>'
        f'<text x="0" y="{base + 13}">0</text>'
        f'<text x="{_WIDTH}" y="{base + 13}" text-anchor="end">{_number(top)}</text></svg>'
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
