"""Samplers under the names of the A1111 web UI: short functions over sigmas, from noise to clean latents.

A sampler is a generator for one picture: it yields `Noisy` latents x with their noise level, is sent x_0, the clean
latents that the denoiser sees there, and returns the latents at the end. x is in the terms of Karras et al. 2022:
x = x_0 + sigma x noise. So pictures with other samplers, steps and moments can share the denoiser's passes, and none
of them knows of its neighbours. Importable without torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from lorasmith.errors import UsageError, did_you_mean
from lorasmith.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

MOST_SIGMA = 2.0**20
"""Where a flow's sigmas end: pure noise has none, and float32 tells nothing above it from pure noise."""


@dataclass(frozen=True)
class Noisy:
    """Latents `x` (1, C, ...) at the noise level `sigma`, in `step`, counted from 0: what is clean in them?"""

    x: Tensor
    sigma: float
    step: int


@dataclass(frozen=True)
class Run:
    """What a sampler walks down: its sigmas, the last may be 0; `draw` gives new unit noise in the shape of x.

    `eta` is the strength of fresh noise. `flow`: x / (1 + sigma) goes straight where x_0 stays (rectified flow).
    """

    sigmas: Sequence[float]
    draw: Callable[[], Tensor]
    eta: float = 0.0
    flow: bool = False


Walk = Generator[Noisy, "Tensor", "Tensor"]


@dataclass(frozen=True)
class Sampler:
    """A sampler: its name, its function, how infotexts call it, the schedule that "Automatic" means, its own `eta`.

    `evaluations` of the denoiser are made in a step (but one in the last). `unit` ones start with unit noise of the
    denoiser's terms, the others with noise x sigma.
    """

    name: str
    run: Callable[[Tensor, Run], Walk]
    infotext: str
    curve: str = "Uniform"
    eta: float = 0.0
    evaluations: int = 1
    unit: bool = False


def _euler(x: Tensor, run: Run) -> Walk:
    """Euler with fresh noise of strength `eta`: Karras et al. 2022 (alg. 2), Song et al. 2021 (DDIM, eq. 12 and 16).

    In these terms DDIM is this very step, for any eta.
    """
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x_0 = yield Noisy(x, sigma, step)
        down, up = _split_noise(sigma, after, run.eta)
        x = x_0 + (x - x_0) * (down / sigma)
        if up > 0:
            x = x + up * run.draw()
    return x


def _split_noise(sigma: float, after: float, eta: float) -> tuple[float, float]:
    """The level to fall to, and the noise to add to be at `after`."""
    up = min(after, eta * math.sqrt(max(0.0, after**2 * (sigma**2 - after**2) / sigma**2)))
    return math.sqrt(max(0.0, after**2 - up**2)), up


def _heun(x: Tensor, run: Run) -> Walk:
    """Heun's second-order step; the last one is Euler's (Karras et al. 2022, alg. 1 without churn).

    Its slopes are those of x over sigma, for a flow those of x / (1 + sigma) over t = sigma / (1 + sigma): there
    sigma has no end, and a mean of slopes over it would be that of its last piece.
    """
    k = 1.0 if run.flow else 0.0
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        here, there = 1 + k * sigma, 1 + k * after
        way = after / there - sigma / here
        x_0 = yield Noisy(x, sigma, step)
        slope = (x - x_0) / sigma - k * x_0
        moved = (x / here + slope * way) * there
        if after > 0:
            x_0 = yield Noisy(moved, after, step)
            slope = (slope + (moved - x_0) / after - k * x_0) / 2
            moved = (x / here + slope * way) * there
        x = moved
    return x


def _dpmpp_2m(x: Tensor, run: Run) -> Walk:
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


def _dpmpp_2m_sde(x: Tensor, run: Run) -> Walk:
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


def _dpmpp_sde(x: Tensor, run: Run) -> Walk:
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
        down, up = _split_noise(sigma, middle, run.eta)
        halfway = (down / sigma) * x + (1 - down / sigma) * x_0 + up * first / math.sqrt(sigma - middle)
        x_half = yield Noisy(halfway, middle, step)
        down, up = _split_noise(sigma, after, run.eta)
        x = (down / sigma) * x + (1 - down / sigma) * x_half + up * (first + second) / math.sqrt(sigma - after)
    return x


def _lcm(x: Tensor, run: Run) -> Walk:
    """Multistep consistency sampling: all the way to x_0, and noise again (Luo et al. 2023, alg. 3)."""
    for step, (sigma, after) in enumerate(pairwise(run.sigmas)):
        x = yield Noisy(x, sigma, step)
        if after > 0:
            x = x + after * run.draw()
    return x


UNIPC_ORDER = 3


def _unipc(x: Tensor, run: Run) -> Walk:
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


SAMPLERS = Registry(
    "a sampler",
    entries=(
        Sampler("Euler a", _euler, "Euler a", eta=1.0),
        Sampler("Euler", _euler, "Euler"),
        Sampler("DPM++ 2M", _dpmpp_2m, "DPM++ 2M"),
        Sampler("DPM++ 2M Karras", _dpmpp_2m, "DPM++ 2M", "Karras"),
        Sampler("DPM++ SDE", _dpmpp_sde, "DPM++ SDE", eta=1.0, evaluations=2),
        Sampler("DPM++ SDE Karras", _dpmpp_sde, "DPM++ SDE", "Karras", eta=1.0, evaluations=2),
        Sampler("DPM++ 2M SDE", _dpmpp_2m_sde, "DPM++ 2M SDE", eta=1.0),
        Sampler("DPM++ 2M SDE Karras", _dpmpp_2m_sde, "DPM++ 2M SDE", "Karras", eta=1.0),
        Sampler("DDIM", _euler, "DDIM", "DDIM", unit=True),
        Sampler("UniPC", _unipc, "UniPC", unit=True),
        Sampler("LCM", _lcm, "LCM"),
        Sampler("Heun", _heun, "Heun", evaluations=2),
    ),
)
#: What "Automatic" means to the web UI since its version 1.9, where that is not what the plain name means here and
#: meant there before.
WEB_AUTOMATIC: Mapping[str, str] = MappingProxyType(
    {"DPM++ 2M": "Karras", "DPM++ SDE": "Karras", "DPM++ 2M SDE": "Exponential"}
)


def find_sampler(name: str) -> str:
    """The exact name of the sampler that `name` means, in any case. Raises UsageError naming the nearest."""
    return find_known("sampler", name, SAMPLERS)


def find_known(kind: str, name: str, names: Collection[str]) -> str:
    """The one of `names` that `name` means, in any case. Raises UsageError naming the nearest."""
    for known in names:
        if name.strip().lower() == known.lower():
            return known
    hint = did_you_mean(name, names) or f"Known {kind}s: {', '.join(names)}."
    raise UsageError(f'"{name}": unknown {kind}.', hint=hint)


def start(sampler: str, noise: Tensor, sigma: float, spread: float) -> Tensor:
    """Noise alone, at the level where the sampler begins; `spread` is the parametrisation's there."""
    return noise * (spread if SAMPLERS[sampler].unit else sigma)


def begin(sampler: str, x: Tensor, run: Run) -> Walk:
    """The walk of a sampler from latents `x` at the run's first sigma to its last."""
    return SAMPLERS[find_sampler(sampler)].run(x, run)


def count_evaluations(sampler: str, steps: int) -> int:
    """How often the denoiser is asked in `steps` steps; the last step of a second-order sampler asks once."""
    each = SAMPLERS[find_sampler(sampler)].evaluations
    return each * steps - (each - 1) if steps else 0
