"""UniPC (Zhao et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from lorasmith.diffusion.levels import MOST_SIGMA
from lorasmith.diffusion.solvers.walk import Noisy, Run, Walk

if TYPE_CHECKING:
    from torch import Tensor


UNIPC_ORDER = 3


def unipc(x: Tensor, run: Run) -> Walk:
    """UniPC with data prediction and B(h) = h (bh1), order 3 (Zhao et al. 2023, alg. 7).

    Each new evaluation corrects the step that led to it before the next step is predicted. What is seen in a flow's
    pure noise is a step's alone: on the scale of log sigma it is too far away to draw lines from.
    """
    seen: list[tuple[float, Tensor]] = []  # (-log sigma, x_0) of the evaluations so far
    start_x, order = x, 1
    count = len(run.sigmas) - 1
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x_0 = yield Noisy(x, sigma, step)
        if seen:
            x = _unipc_move(start_x, seen, -math.log(sigma), order, x_0)
        if after == 0:
            return x_0
        if sigma >= MOST_SIGMA:
            x = x_0 + (x - x_0) * (after / sigma)
            continue
        seen = [*seen, (-math.log(sigma), x_0)][-UNIPC_ORDER:]
        order = min(UNIPC_ORDER, len(seen), count - step)
        start_x = x
        x = _unipc_move(x, seen, -math.log(after), order)
    return x


def _unipc_move(
    x: Tensor, seen: Sequence[tuple[float, Tensor]], to: float, order: int, known: Tensor | None = None
) -> Tensor:
    """From the last evaluation to the level `to` (as -log sigma): predicted, or corrected when x_0 there is `known`."""
    last, x_0 = seen[-1]
    h = to - last
    ratios = [(seen[-1 - i][0] - last) / h for i in range(1, order)]
    slopes = [(seen[-1 - i][1] - x_0) / ratio for i, ratio in zip(range(1, order), ratios, strict=True)]
    moved = math.exp(-h) * x - math.expm1(-h) * x_0
    hh = -h
    phi, factorial = math.expm1(hh) / hh - 1, 1.0
    rows, wanted = [], []
    powers = [*ratios, 1.0]
    for k in range(1, order + 1):
        rows.append([ratio ** (k - 1) for ratio in powers])
        wanted.append(phi * factorial / hh)
        factorial *= k + 1
        phi = phi / hh - 1 / factorial
    import torch

    matrix, right = torch.tensor(rows, dtype=torch.float64), torch.tensor(wanted, dtype=torch.float64)
    if known is None:
        if order == 1:
            return moved
        # Order 2 takes one half (the paper's remark on B(h)); above it the system is solved.
        weights = [0.5] if order == 2 else torch.linalg.solve(matrix[:-1, :-1], right[:-1]).tolist()
    else:
        weights = [0.5] if order == 1 else torch.linalg.solve(matrix, right).tolist()
        slopes = [*slopes, known - x_0]
    for weight, slope in zip(weights, slopes, strict=True):
        moved = moved - hh * weight * slope
    return moved
