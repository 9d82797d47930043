"""The linear multistep method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from lorasmith.diffusion.solvers.walk import Noisy, Run, Walk

if TYPE_CHECKING:
    from torch import Tensor

LMS_ORDER = 4


def lms(x: Tensor, run: Run) -> Walk:
    """Adams-Bashforth of order 4 over uneven steps (k-diffusion, `sampling.py`, `sample_lms`).

    As Heun's, its slopes are those of x over sigma, for a flow those of x / (1 + sigma) over t.
    """
    k = 1.0 if run.flow else 0.0
    places = [sigma / (1 + k * sigma) for sigma in run.sigmas]
    slopes: list[Tensor] = []
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x_0 = yield Noisy(x, sigma, step)
        slopes = [(x - x_0) / sigma - k * x_0, *slopes][:LMS_ORDER]
        y = x / (1 + k * sigma)
        for share, slope in zip(multistep_shares(places, step, len(slopes)), slopes, strict=True):
            y = y + share * slope
        x = y * (1 + k * after)
    return x


def multistep_shares(places: Sequence[float], step: int, order: int) -> list[float]:
    """How much of each of the last `order` slopes, the newest first, a step takes: the integrals of their Lagrange
    polynomials over it.

    Two points of Gauss' rule are exact up to the third degree, which order 4 has.
    """
    begin, end = places[step], places[step + 1]
    half, middle = (end - begin) / 2, (end + begin) / 2
    known = [places[step - back] for back in range(order)]
    points = (middle - half / math.sqrt(3), middle + half / math.sqrt(3))

    def lagrange(j: int, at: float) -> float:
        return math.prod((at - known[i]) / (known[j] - known[i]) for i in range(order) if i != j)

    return [half * sum(lagrange(j, at) for at in points) for j in range(order)]
