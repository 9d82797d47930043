"""How a picture is lit: too dark, too bright, or without contrast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_DARK, _BRIGHT = 48, 208
_TAIL = 0.01


@dataclass(frozen=True)
class Exposure:
    """Shares of a picture's pixels, 0 to 1: `dark` under 48 of 255, `bright` over 207; and its `contrast`, the span
    of greys that all but the darkest and the brightest hundredth lie in (1 is black to white)."""

    dark: float
    bright: float
    contrast: float


def measure_exposure(histogram: Sequence[int]) -> Exposure:
    """The exposure of a grey picture from its `histogram`, the number of pixels of each of 256 greys.

    A drawing on white is bright and has contrast; a picture that was exposed too long is bright and has little.
    """
    total = sum(histogram)
    low, high = _place(histogram, _TAIL * total), _place(histogram, (1 - _TAIL) * total)
    return Exposure(
        dark=round(sum(histogram[:_DARK]) / total, 4),
        bright=round(sum(histogram[_BRIGHT:]) / total, 4),
        contrast=round((high - low) / 255, 4),
    )


def _place(histogram: Sequence[int], wanted: float) -> int:
    """The grey under or at which `wanted` pixels lie."""
    count = 0
    for grey, pixels in enumerate(histogram):
        count += pixels
        if count >= wanted:
            return grey
    return len(histogram) - 1
