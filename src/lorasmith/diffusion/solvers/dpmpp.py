"""DPM-Solver++ in its forms (Lu et al. 2022b), with fresh noise and without."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from lorasmith.diffusion.solvers.walk import Noisy, Run, Walk, split_noise

if TYPE_CHECKING:
    from torch import Tensor


def dpmpp_2m(x: Tensor, run: Run) -> Walk:
    """DPM-Solver++(2M) (Lu et al. 2022b, alg. 2)."""
    before: Tensor | None = None
    h_before = 0.0
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x_0 = yield Noisy(x, sigma, step)
        if after == 0:
            return x_0
        h = math.log(sigma / after)
        ahead = x_0
        if before is not None:
            r = h_before / h
            ahead = (1 + 1 / (2 * r)) * x_0 - (1 / (2 * r)) * before
        x = (after / sigma) * x - math.expm1(-h) * ahead
        before, h_before = x_0, h
    return x


def dpmpp_2m_sde(x: Tensor, run: Run) -> Walk:
    """SDE-DPM-Solver++(2M), midpoint form (Lu et al. 2022b, appendix)."""
    before: Tensor | None = None
    h_before = 0.0
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x_0 = yield Noisy(x, sigma, step)
        if after == 0:
            return x_0
        h = math.log(sigma / after)
        fall = h * (1 + run.eta)
        x = (after / sigma) * math.exp(-run.eta * h) * x - math.expm1(-fall) * x_0
        if before is not None:
            x = x - 0.5 * math.expm1(-fall) * (h / h_before) * (x_0 - before)
        if run.eta:
            x = x + after * math.sqrt(-math.expm1(-2 * run.eta * h)) * run.draw()
        before, h_before = x_0, h
    return x


def dpmpp_sde(x: Tensor, run: Run) -> Walk:
    """SDE-DPM-Solver++ of second order with one evaluation between two levels (Lu et al. 2022b; r = 1/2).

    The noise of a step is that of one Brownian path over sigma: the half step's is a part of the whole step's.
    """
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x_0 = yield Noisy(x, sigma, step)
        if after == 0:
            return x_0
        middle = math.sqrt(sigma * after)
        # Brownian increments over [middle, sigma] and [after, middle]; over the whole step they add up.
        first, second = math.sqrt(sigma - middle) * run.draw(), math.sqrt(middle - after) * run.draw()
        down, up = split_noise(sigma, middle, run.eta)
        halfway = (down / sigma) * x + (1 - down / sigma) * x_0 + up * first / math.sqrt(sigma - middle)
        x_half = yield Noisy(halfway, middle, step)
        down, up = split_noise(sigma, after, run.eta)
        x = (down / sigma) * x + (1 - down / sigma) * x_half + up * (first + second) / math.sqrt(sigma - after)
    return x


def dpmpp_2s_ancestral(x: Tensor, run: Run) -> Walk:
    """DPM-Solver++(2S) (Lu et al. 2022b, alg. 1; r = 1/2) down to a lower level, and fresh noise up to the next
    (k-diffusion, `sampling.py`, `sample_dpmpp_2s_ancestral`)."""
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x_0 = yield Noisy(x, sigma, step)
        down, up = split_noise(sigma, after, run.eta)
        if down == 0:
            x = x_0
        else:
            middle = math.sqrt(sigma * down)
            halfway = (middle / sigma) * x + (1 - middle / sigma) * x_0
            x_half = yield Noisy(halfway, middle, step)
            x = (down / sigma) * x + (1 - down / sigma) * x_half
        if up > 0:
            x = x + up * run.draw()
    return x


def dpmpp_3m_sde(x: Tensor, run: Run) -> Walk:
    """SDE-DPM-Solver++ of third order from the last three evaluations (k-diffusion, `sampling.py`,
    `sample_dpmpp_3m_sde`; the exponential integrator of Lu et al. 2022b)."""
    seen: list[tuple[float, Tensor]] = []  # how far the step from it went, and x_0, of the last two, the newest first
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x_0 = yield Noisy(x, sigma, step)
        if after == 0:
            return x_0
        h = math.log(sigma / after)
        fall = h * (1 + run.eta)
        x = math.exp(-fall) * x - math.expm1(-fall) * x_0
        second = math.expm1(-fall) / fall + 1
        if seen:
            near = seen[0][0] / h
            slope = (x_0 - seen[0][1]) / near
            if len(seen) > 1:
                far = seen[1][0] / h
                bend = (slope - (seen[0][1] - seen[1][1]) / far) / (near + far)
                slope = slope + bend * near
                x = x - (second / fall - 0.5) * bend
            x = x + second * slope
        if run.eta:
            x = x + after * math.sqrt(-math.expm1(-2 * run.eta * h)) * run.draw()
        seen = [(h, x_0), *seen][:2]
    return x
