"""Widths as products of two numbers."""

from __future__ import annotations

import math


def factorise(width: int, factor: int = -1) -> tuple[int, int]:
    """The width as a product (small, large), the small one the nearest divisor to `factor` from below as lycoris has
    it: at most `factor` and as square as can be; -1 means no limit. A `factor` that divides the width is taken."""
    if factor > 0 and width % factor == 0:
        return min(factor, width // factor), max(factor, width // factor)
    most = width if factor < 0 else factor
    small = max(each for each in range(1, math.isqrt(width) + 1) if width % each == 0 and each <= max(most, 1))
    return small, width // small
