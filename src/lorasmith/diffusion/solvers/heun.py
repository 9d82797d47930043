"""Heun's steps of second order, also walked again and again."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from lorasmith.diffusion.levels import flow_sigma, flow_time, karras
from lorasmith.diffusion.solvers.walk import Noisy, Run, Walk

if TYPE_CHECKING:
    from torch import Tensor

RESTART_AT, RESTART_FROM = 0.1, 2.0
"""Where a restart goes up again, and how far: A1111's choice (`sd_samplers_extra.py`, `restart_sampler`)."""


def heun(x: Tensor, run: Run) -> Walk:
    """Heun's second-order step; the last one is Euler's (Karras et al. 2022, alg. 1 without churn)."""
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x = yield from _step(x, sigma, after, step, run.flow)
    return x


def _step(x: Tensor, sigma: float, after: float, step: int, flow: bool) -> Generator[Noisy, Tensor, Tensor]:
    """Its slopes are those of x over sigma, for a flow those of x / (1 + sigma) over t = sigma / (1 + sigma): there
    sigma has no end, and a mean of slopes over it would be that of its last piece."""
    k = 1.0 if flow else 0.0
    here, there = 1 + k * sigma, 1 + k * after
    way = after / there - sigma / here
    x_0 = yield Noisy(x, sigma, step)
    slope = (x - x_0) / sigma - k * x_0
    moved = (x / here + slope * way) * there
    if after > 0:
        x_0 = yield Noisy(moved, after, step)
        slope = (slope + (moved - x_0) / after - k * x_0) / 2
        moved = (x / here + slope * way) * there
    return moved


def restart(x: Tensor, run: Run) -> Walk:
    """Heun's steps that go up again with fresh noise from a low level (Xu et al. 2023, alg. 1).

    Steps, levels and times of going up are A1111's; below 20 steps it is Heun's walk.
    """
    ended: float | None = None
    for step, (sigma, after) in enumerate(restart_steps(run.sigmas, run.flow)):
        if ended is not None and ended < sigma:
            x = x + math.sqrt(sigma**2 - ended**2) * run.draw()
        x = yield from _step(x, sigma, after, step, run.flow)
        ended = after
    return x


def restart_steps(sigmas: Sequence[float], flow: bool = False) -> list[tuple[float, float]]:
    """From which sigma to which each step goes: as many as there were (A1111, `restart_sampler`).

    From 20 steps on, 9 of them are walked again once, from 36 a quarter of them twice; all on Karras' curve, whatever
    the schedule was.
    """
    steps = len(sigmas) - 1
    if steps < 20:
        return list(pairwise(sigmas))
    again, times = (steps // 4, 2) if steps >= 36 else (9, 1)
    kept = [*_curve(sigmas[0], sigmas[-2], steps - again * times, flow), 0.0]
    low, high = _nearest(kept, RESTART_AT), _nearest(kept, RESTART_FROM)
    upper = list(pairwise(_curve(kept[high], kept[low], again + 1, flow))) if high < low else []
    walked: list[tuple[float, float]] = []
    for index, pair in enumerate(pairwise(kept)):
        walked.append(pair)
        if index + 1 == low:
            walked += upper * times
    return walked


def _curve(greatest: float, least: float, count: int, flow: bool) -> list[float]:
    if not flow:
        return karras(greatest, least, count)
    return [flow_sigma(t) for t in karras(flow_time(greatest), flow_time(least), count)]


def _nearest(sigmas: Sequence[float], wanted: float) -> int:
    return min(range(len(sigmas)), key=lambda index: abs(sigmas[index] - wanted))
