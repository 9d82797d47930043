"""Steps of first order."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from lorasmith.diffusion.solvers.walk import Noisy, Run, Walk, split_noise

if TYPE_CHECKING:
    from torch import Tensor


def euler(x: Tensor, run: Run) -> Walk:
    """Euler with fresh noise of strength `eta`: Karras et al. 2022 (alg. 2), Song et al. 2021 (DDIM, eq. 12 and 16).

    In these terms DDIM is this very step, for any eta.
    """
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x_0 = yield Noisy(x, sigma, step)
        down, up = split_noise(sigma, after, run.eta)
        x = x_0 + (x - x_0) * (down / sigma)
        if up > 0:
            x = x + up * run.draw()
    return x


def lcm(x: Tensor, run: Run) -> Walk:
    """Multistep consistency sampling: all the way to x_0, and noise again (Luo et al. 2023, alg. 3)."""
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x = yield Noisy(x, sigma, step)
        if after > 0:
            x = x + after * run.draw()
    return x
