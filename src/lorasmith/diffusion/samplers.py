"""Samplers under the names of the A1111 web UI: short functions over noise levels, from noise to clean latents.

A sampler is a generator for one picture: it yields a `Look` (noisy latents x and their noise level), is sent x_0, the
clean latents that the denoiser sees there, and returns the latents at the end. x is in the terms of Karras et al.
2022: x = x_0 + sigma x noise, sigma^2 = (1 - alpha-bar) / alpha-bar. So pictures with other samplers, steps and
moments can share the denoiser's passes, and none of them knows of its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import Tensor

from lorasmith.diffusion.names import SAMPLERS, find_sampler, find_schedule
from lorasmith.diffusion.parametrisation import Discrete, Parametrisation

RHO = 7.0


@dataclass(frozen=True)
class Look:
    """Latents `x` (1, C, H, W) at the noise level `sigma`, in `step`, counted from 0: what is clean in them?"""

    x: Tensor
    sigma: float
    step: int


Draw = Callable[[], Tensor]
"""New unit noise in the shape of x."""
Course = Generator[Look, Tensor, Tensor]


class Levels:
    """The noise levels of a base: from timesteps to sigma and back, with straight lines between the logarithms."""

    def __init__(self, parametrisation: Parametrisation) -> None:
        assert isinstance(parametrisation, Discrete)
        self.sigmas = parametrisation.sigmas
        self._logs = self.sigmas.log()

    @property
    def count(self) -> int:
        """How many timesteps there are."""
        return len(self.sigmas)

    @cached_property
    def least(self) -> float:
        return float(self.sigmas[0])

    @cached_property
    def greatest(self) -> float:
        return float(self.sigmas[-1])

    def sigma(self, t: float) -> float:
        """The level of a timestep, also between whole ones."""
        low = min(int(t), self.count - 1)
        high = min(low + 1, self.count - 1)
        part = t - low
        return math.exp((1 - part) * float(self._logs[low]) + part * float(self._logs[high]))


def falling_levels(schedule: str, sampler: str, levels: Levels, steps: int) -> list[float]:
    """The `steps` + 1 noise levels of a picture, from the first to the last; all but DDIM's own end at 0.

    "Automatic" is the sampler's own schedule. Sources: Karras et al. 2022
    (eq. 5), k-diffusion (Uniform, Exponential), Stability's sgm (SGM Uniform), Sabour et al. 2024 (KL Optimal).
    """
    chosen = find_schedule(schedule)
    if chosen == "Automatic":
        chosen = SAMPLERS[find_sampler(sampler)].curve
    last = levels.count - 1
    least, greatest = levels.least, levels.greatest
    spaced = [index / max(1, steps - 1) for index in range(steps)]
    if chosen in ("Uniform", "Normal"):
        found = [levels.sigma(last * (1 - part)) for part in spaced]
    elif chosen == "Karras":
        high, low = greatest ** (1 / RHO), least ** (1 / RHO)
        found = [(high + part * (low - high)) ** RHO for part in spaced]
    elif chosen in ("Exponential", "Polyexponential"):
        found = [math.exp(math.log(greatest) + part * (math.log(least) - math.log(greatest))) for part in spaced]
    elif chosen == "SGM Uniform":
        found = [levels.sigma(last * (1 - index / steps)) for index in range(steps)]
    elif chosen == "KL Optimal":
        high, low = math.atan(greatest), math.atan(least)
        found = [math.tan(part * low + (1 - part) * high) for part in spaced]
    elif chosen == "Simple":
        found = [float(levels.sigmas[-(1 + int(index * levels.count / steps))]) for index in range(steps)]
    else:
        # "leading" timesteps with offset 1, as in the original DDIM code; it ends at the base's lowest level.
        stride = levels.count // steps
        found = [float(levels.sigmas[min(1 + index * stride, last)]) for index in reversed(range(steps))]
        return [*found, least if SAMPLERS[find_sampler(sampler)].unit else 0.0]
    return [*found, 0.0]


def start(sampler: str, noise: Tensor, sigma: float) -> Tensor:
    """Noise alone, at the level where the sampler begins."""
    return noise * (math.sqrt(1 + sigma**2) if SAMPLERS[sampler].unit else sigma)


def finish_latents(x: Tensor, sigma: float) -> Tensor:
    """The latents at the end, in the base's own terms: what noise is left there is left, as in DDIM."""
    return x / math.sqrt(1 + sigma**2)


def _euler(x: Tensor, sigmas: Sequence[float], draw: Draw, eta: float) -> Course:
    """Euler with fresh noise of strength `eta`: Karras et al. 2022 (alg. 2), Song et al. 2021 (DDIM, eq. 12 and 16).

    In these terms DDIM is this very step, for any eta.
    """
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x_0 = yield Look(x, sigma, step)
        down, up = _split_noise(sigma, after, eta)
        x = x_0 + (x - x_0) * (down / sigma)
        if up > 0:
            x = x + up * draw()
    return x


def _split_noise(sigma: float, after: float, eta: float) -> tuple[float, float]:
    """The level to fall to, and the noise to add to be at `after`."""
    up = min(after, eta * math.sqrt(max(0.0, after**2 * (sigma**2 - after**2) / sigma**2)))
    return math.sqrt(max(0.0, after**2 - up**2)), up


def _heun(x: Tensor, sigmas: Sequence[float], draw: Draw, eta: float) -> Course:  # noqa: ARG001
    """Heun's second-order step; the last one is Euler's (Karras et al. 2022, alg. 1 without churn)."""
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x_0 = yield Look(x, sigma, step)
        slope = (x - x_0) / sigma
        moved = x + slope * (after - sigma)
        if after > 0:
            x_0 = yield Look(moved, after, step)
            slope = (slope + (moved - x_0) / after) / 2
            moved = x + slope * (after - sigma)
        x = moved
    return x


def _dpmpp_2m(x: Tensor, sigmas: Sequence[float], draw: Draw, eta: float) -> Course:  # noqa: ARG001
    """DPM-Solver++(2M) (Lu et al. 2022b, alg. 2)."""
    before: Tensor | None = None
    h_before = 0.0
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x_0 = yield Look(x, sigma, step)
        if after == 0:
            return x_0
        h = math.log(sigma / after)
        told = x_0
        if before is not None:
            r = h_before / h
            told = (1 + 1 / (2 * r)) * x_0 - (1 / (2 * r)) * before
        x = (after / sigma) * x - math.expm1(-h) * told
        before, h_before = x_0, h
    return x


def _dpmpp_2m_sde(x: Tensor, sigmas: Sequence[float], draw: Draw, eta: float) -> Course:
    """SDE-DPM-Solver++(2M), midpoint form (Lu et al. 2022b, appendix)."""
    before: Tensor | None = None
    h_before = 0.0
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x_0 = yield Look(x, sigma, step)
        if after == 0:
            return x_0
        h = math.log(sigma / after)
        fall = h * (1 + eta)
        x = (after / sigma) * math.exp(-eta * h) * x - math.expm1(-fall) * x_0
        if before is not None:
            x = x - 0.5 * math.expm1(-fall) * (h / h_before) * (x_0 - before)
        if eta:
            x = x + after * math.sqrt(-math.expm1(-2 * eta * h)) * draw()
        before, h_before = x_0, h
    return x


def _dpmpp_sde(x: Tensor, sigmas: Sequence[float], draw: Draw, eta: float) -> Course:
    """SDE-DPM-Solver++ of second order with one look between two levels (Lu et al. 2022b; r = 1/2).

    The noise of a step is that of one Brownian path over sigma: the half step's is a part of the whole step's.
    """
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x_0 = yield Look(x, sigma, step)
        if after == 0:
            return x_0
        middle = math.sqrt(sigma * after)
        # Brownian increments over [middle, sigma] and [after, middle]; over the whole step they add up.
        first, second = math.sqrt(sigma - middle) * draw(), math.sqrt(middle - after) * draw()
        down, up = _split_noise(sigma, middle, eta)
        halfway = (down / sigma) * x + (1 - down / sigma) * x_0 + up * first / math.sqrt(sigma - middle)
        x_half = yield Look(halfway, middle, step)
        down, up = _split_noise(sigma, after, eta)
        x = (down / sigma) * x + (1 - down / sigma) * x_half + up * (first + second) / math.sqrt(sigma - after)
    return x


def _lcm(x: Tensor, sigmas: Sequence[float], draw: Draw, eta: float) -> Course:  # noqa: ARG001
    """Multistep consistency sampling: all the way to x_0, and noise again (Luo et al. 2023, alg. 3)."""
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x = yield Look(x, sigma, step)
        if after > 0:
            x = x + after * draw()
    return x


UNIPC_ORDER = 3


def _unipc(x: Tensor, sigmas: Sequence[float], draw: Draw, eta: float) -> Course:  # noqa: ARG001
    """UniPC with data prediction and B(h) = h (bh1), order 3 (Zhao et al. 2023, alg. 7).

    Each new look corrects the step that led to it before the next step is predicted.
    """
    seen: list[tuple[float, Tensor]] = []  # (-log sigma, x_0) of the looks so far
    start_x, order = x, 1
    count = len(sigmas) - 1
    for step, (sigma, after) in enumerate(pairwise(sigmas)):
        x_0 = yield Look(x, sigma, step)
        if seen:
            x = _unipc_move(start_x, seen, -math.log(sigma), order, x_0)
        if after == 0:
            return x_0
        seen = [*seen, (-math.log(sigma), x_0)][-UNIPC_ORDER:]
        order = min(UNIPC_ORDER, len(seen), count - step)
        start_x = x
        x = _unipc_move(x, seen, -math.log(after), order)
    return x


def _unipc_move(
    x: Tensor, seen: Sequence[tuple[float, Tensor]], to: float, order: int, told: Tensor | None = None
) -> Tensor:
    """From the last look to the level `to` (as -log sigma): predicted, or corrected when x_0 there is `told`."""
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
    matrix, right = torch.tensor(rows, dtype=torch.float64), torch.tensor(wanted, dtype=torch.float64)
    if told is None:
        if order == 1:
            return moved
        # Order 2 is told to take one half (the paper's remark on B(h)); above it the system is solved.
        weights = [0.5] if order == 2 else torch.linalg.solve(matrix[:-1, :-1], right[:-1]).tolist()
    else:
        weights = [0.5] if order == 1 else torch.linalg.solve(matrix, right).tolist()
        slopes = [*slopes, told - x_0]
    for weight, slope in zip(weights, slopes, strict=True):
        moved = moved - hh * weight * slope
    return moved


METHODS: Mapping[str, Callable[[Tensor, Sequence[float], Draw, float], Course]] = MappingProxyType(
    {
        "euler": _euler,
        "heun": _heun,
        "dpmpp_2m": _dpmpp_2m,
        "dpmpp_2m_sde": _dpmpp_2m_sde,
        "dpmpp_sde": _dpmpp_sde,
        "unipc": _unipc,
        "lcm": _lcm,
    }
)


def begin(sampler: str, x: Tensor, sigmas: Sequence[float], draw: Draw, eta: float | None = None) -> Course:
    """The course of a sampler from latents `x` at `sigmas[0]` to `sigmas[-1]`; `eta` None is the sampler's own."""
    chosen = SAMPLERS[find_sampler(sampler)]
    return METHODS[chosen.method](x, sigmas, draw, chosen.eta if eta is None else eta)


def count_evaluations(sampler: str, steps: int) -> int:
    """How often the denoiser is asked in `steps` steps; the last step of a second-order sampler asks once."""
    each = SAMPLERS[find_sampler(sampler)].evaluations
    return each * steps - (each - 1) if steps else 0
