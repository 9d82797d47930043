"""Noise levels where sigma has no end: the times of a flow; and the curve that is drawn over either."""

from __future__ import annotations

MOST_SIGMA = 2.0**20
"""Where a flow's sigmas end: pure noise has none, and float32 tells nothing above it from pure noise."""
RHO = 7.0


def flow_sigma(t: float) -> float:
    """t / (1 - t), finite."""
    return MOST_SIGMA if t >= 1 else min(t / (1 - t), MOST_SIGMA)


def flow_time(sigma: float) -> float:
    """The t of a flow's sigma, sigma / (1 + sigma)."""
    return 1.0 if sigma >= MOST_SIGMA else sigma / (1 + sigma)


def karras(greatest: float, least: float, count: int) -> list[float]:
    """`count` levels from the greatest to the least in even steps of their seventh root (Karras et al. 2022, eq. 5)."""
    high, low = greatest ** (1 / RHO), least ** (1 / RHO)
    return [(high + part * (low - high)) ** RHO for part in even_parts(count)]


def even_parts(count: int) -> list[float]:
    """`count` numbers from 0 to 1 at even distances; 0 alone when there is one."""
    return [index / max(1, count - 1) for index in range(count)]
