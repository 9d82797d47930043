"""Noise levels of a picture: which sigmas a sampler walks down. Importable without torch.

A sampler's x is x_0 + sigma n (Karras et al. 2022). A `SigmaTable` is made from a base's parametrisation and holds
all that schedules ask: a sigma for every timestep, and for what lies between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from lorasmith.diffusion.levels import even_parts, flow_sigma, flow_time, karras
from lorasmith.diffusion.samplers import SAMPLERS, find_known, find_sampler
from lorasmith.diffusion.timesteps import shift_time

TABLE_LENGTH = 1000
BETA = 0.6
"""Both parameters of the distribution that Beta spreads its steps by (A1111's `beta_dist_alpha`, `beta_dist_beta`)."""
ALIGNED = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
"""Align Your Steps' sigmas for Stable Diffusion 1.5 (Sabour et al. 2024)."""


@dataclass(frozen=True)
class SigmaTable:
    """Sigmas by timestep, rising, and their logarithms, between which it goes straight (k-diffusion).

    `aligned` are those that Align Your Steps found for such a base. `flow`: of a rectified flow.
    """

    sigmas: Sequence[float]
    logs: Sequence[float]
    aligned: Sequence[float] = ALIGNED
    flow = False

    @property
    def count(self) -> int:
        """How many timesteps there are."""
        return len(self.sigmas)

    @property
    def lowest(self) -> float:
        """The row at which evenly spaced timesteps end."""
        return 0.0

    @property
    def rest(self) -> float:
        """The sigma at which DDIM ends: the original code stops at the table's first (Song et al. 2021)."""
        return self.sigmas[0]

    def sigma(self, row: float) -> float:
        """The sigma of a timestep, also between whole ones."""
        low = min(int(row), self.count - 1)
        high = min(low + 1, self.count - 1)
        part = row - low
        return math.exp((1 - part) * self.logs[low] + part * self.logs[high])

    def level(self, sigma: float) -> float:
        """A sigma on the scale on which Karras' and the other curves are drawn."""
        return sigma

    def sigma_of(self, level: float) -> float:
        """The sigma of such a level."""
        return level


@dataclass(frozen=True)
class FlowTable(SigmaTable):
    """A flow's: row k is t = (k + 1) / 1000, shifted to t' = s t / (1 + (s - 1) t); sigma = t' / (1 - t').

    Curves are drawn over t', as ComfyUI (ModelSamplingDiscreteFlow) and diffusers (FlowMatchEulerDiscreteScheduler)
    do. As theirs, evenly spaced timesteps begin and end at the shifted table's ends and are shifted once more.
    """

    shift: float = 1.0
    flow = True

    @classmethod
    def shifted(cls, shift: float) -> FlowTable:
        """The table of a flow whose times are shifted so."""
        return _flow_table(shift)

    @property
    def lowest(self) -> float:
        return self.level(self.sigmas[0]) * self.count - 1

    @property
    def rest(self) -> float:
        return 0.0

    def sigma(self, row: float) -> float:
        return self.sigma_of(shift_time((row + 1) / self.count, self.shift))

    def level(self, sigma: float) -> float:
        return flow_time(sigma)

    def sigma_of(self, level: float) -> float:
        return flow_sigma(level)


@lru_cache(16)
def _flow_table(shift: float) -> FlowTable:
    times = [shift_time((row + 1) / TABLE_LENGTH, shift) for row in range(TABLE_LENGTH)]
    sigmas = tuple(flow_sigma(t) for t in times)
    return FlowTable(sigmas, tuple(math.log(sigma) for sigma in sigmas), shift=shift)


def _even(table: SigmaTable, steps: int) -> list[float]:
    """Evenly spaced timesteps, from the last to the first (k-diffusion)."""
    span = table.count - 1 - table.lowest
    return [table.sigma(table.lowest + span * (1 - part)) for part in even_parts(steps)]


def _sgm_uniform(table: SigmaTable, steps: int) -> list[float]:
    """The same with one step more, whose end is left out (Stability's sgm)."""
    span = table.count - 1 - table.lowest
    return [table.sigma(table.lowest + span * (1 - index / steps)) for index in range(steps)]


def _simple(table: SigmaTable, steps: int) -> list[float]:
    """Whole timesteps at even distances, from the last (ComfyUI; diffusers' pipelines of flows)."""
    return [table.sigmas[-(1 + int(index * table.count / steps))] for index in range(steps)]


def _ddim(table: SigmaTable, steps: int) -> list[float]:
    """ "leading" timesteps with offset 1, as in the original DDIM code."""
    stride = table.count // steps
    return [table.sigmas[min(1 + index * stride, table.count - 1)] for index in reversed(range(steps))]


def _karras(table: SigmaTable, steps: int) -> list[float]:
    """Even steps of the level's seventh root (Karras et al. 2022, eq. 5)."""
    return [table.sigma_of(level) for level in karras(*_ends(table), steps)]


def _exponential(table: SigmaTable, steps: int) -> list[float]:
    """Even steps of the level's logarithm (k-diffusion)."""
    greatest, least = _ends(table)
    high, low = math.log(greatest), math.log(least)
    return [table.sigma_of(math.exp(high + part * (low - high))) for part in even_parts(steps)]


def _kl_optimal(table: SigmaTable, steps: int) -> list[float]:
    """Even steps of the level's arc tangent (Sabour et al. 2024)."""
    greatest, least = _ends(table)
    high, low = math.atan(greatest), math.atan(least)
    return [table.sigma_of(math.tan(part * low + (1 - part) * high)) for part in even_parts(steps)]


def _beta(table: SigmaTable, steps: int) -> list[float]:
    """Levels spread as the quantiles of Beta(0.6, 0.6), dense at both ends (Lee et al. 2024; A1111,
    `sd_schedulers.py`, `beta_scheduler`)."""
    greatest, least = _ends(table)
    return [table.sigma_of(least + beta_quantile(1 - part) * (greatest - least)) for part in even_parts(steps)]


@lru_cache(4096)
def beta_quantile(share: float) -> float:
    """Below which number of [0, 1] this share of Beta(0.6, 0.6) lies.

    The distribution is its own mirror image, and its lower half a quickly falling sum of powers.
    """
    if share > 0.5:
        return 1 - beta_quantile(1 - share)
    whole = math.gamma(BETA) ** 2 / math.gamma(2 * BETA)
    low, high = 0.0, 0.5
    for _ in range(52):
        x = (low + high) / 2
        low, high = (x, high) if _beta_below(x) < share * whole else (low, x)
    return high if share > 0 else 0.0


def _beta_below(x: float) -> float:
    """The integral of (t (1 - t))^(BETA - 1) from 0 to x <= 1/2."""
    total, factor = 0.0, 1.0
    for k in range(60):
        total += factor / (BETA + k)
        factor *= (k + 1 - BETA) * x / (k + 1)
    return float(x**BETA) * total


def _align_your_steps(table: SigmaTable, steps: int) -> list[float]:
    """The family's best ten steps, on straight lines of the level's logarithm for other numbers (Sabour et al. 2024;
    A1111, `sd_schedulers.py`, `get_align_your_steps_sigmas`). They begin where the base's noise does, if that is less.

    For a flow, which has none of its own, these are levels of the same signal-to-noise ratio, from pure noise on.
    """
    greatest, least = _ends(table)
    knots = [min(greatest, max(least, table.level(sigma))) for sigma in table.aligned]
    if table.flow:
        knots[0] = greatest
    logs = [math.log(knot) for knot in knots]
    return [table.sigma_of(math.exp(_along(logs, part * (len(logs) - 1)))) for part in even_parts(steps)]


def _along(values: Sequence[float], place: float) -> float:
    low = min(int(place), len(values) - 2)
    return values[low] + (place - low) * (values[low + 1] - values[low])


def _ends(table: SigmaTable) -> tuple[float, float]:
    return table.level(table.sigmas[-1]), table.level(table.sigmas[0])


AUTOMATIC = "Automatic"
#: How a sampler's sigmas may fall, by the A1111 web UI's names: the first `steps` of them.
SCHEDULES: Mapping[str, Callable[[SigmaTable, int], list[float]]] = MappingProxyType(
    {
        "Uniform": _even,
        "Karras": _karras,
        "Exponential": _exponential,
        "Polyexponential": _exponential,
        "SGM Uniform": _sgm_uniform,
        "KL Optimal": _kl_optimal,
        "Align Your Steps": _align_your_steps,
        "Simple": _simple,
        "Normal": _even,
        "DDIM": _ddim,
        "Beta": _beta,
    }
)
#: All that may be asked for; "Automatic" is the sampler's own.
SCHEDULE_NAMES = (AUTOMATIC, *SCHEDULES)


def find_schedule(name: str) -> str:
    """The exact name of the schedule that `name` means, in any case. Raises UsageError naming the nearest."""
    return find_known("schedule", name, SCHEDULE_NAMES)


def get_sigmas(schedule: str, sampler: str, table: SigmaTable, steps: int) -> list[float]:
    """The `steps` + 1 sigmas of a picture, from the first to the last; all but DDIM's own end at 0."""
    entry = SAMPLERS[find_sampler(sampler)]
    chosen = find_schedule(schedule)
    if chosen == AUTOMATIC:
        chosen = entry.curve
    if entry.skips:
        return [*SCHEDULES[chosen](table, steps + 1)[:-1], 0.0]
    return [*SCHEDULES[chosen](table, steps), table.rest if chosen == "DDIM" and entry.unit else 0.0]
