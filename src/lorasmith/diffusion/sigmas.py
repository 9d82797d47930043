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

from lorasmith.diffusion.samplers import MOST_SIGMA, SAMPLERS, find_known, find_sampler
from lorasmith.diffusion.timesteps import shift_time

TABLE_LENGTH = 1000
RHO = 7.0


@dataclass(frozen=True)
class SigmaTable:
    """Sigmas by timestep, rising, and their logarithms, between which it goes straight (k-diffusion).

    `flow`: of a rectified flow.
    """

    sigmas: Sequence[float]
    logs: Sequence[float]
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
    return FlowTable(sigmas, tuple(math.log(sigma) for sigma in sigmas), shift)


def flow_sigma(t: float) -> float:
    """t / (1 - t), finite."""
    return MOST_SIGMA if t >= 1 else min(t / (1 - t), MOST_SIGMA)


def flow_time(sigma: float) -> float:
    """The t of a flow's sigma, sigma / (1 + sigma)."""
    return 1.0 if sigma >= MOST_SIGMA else sigma / (1 + sigma)


def _even(table: SigmaTable, steps: int) -> list[float]:
    """Evenly spaced timesteps, from the last to the first (k-diffusion)."""
    span = table.count - 1 - table.lowest
    return [table.sigma(table.lowest + span * (1 - part)) for part in _parts(steps)]


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
    greatest, least = _ends(table)
    high, low = greatest ** (1 / RHO), least ** (1 / RHO)
    return [table.sigma_of((high + part * (low - high)) ** RHO) for part in _parts(steps)]


def _exponential(table: SigmaTable, steps: int) -> list[float]:
    """Even steps of the level's logarithm (k-diffusion)."""
    greatest, least = _ends(table)
    high, low = math.log(greatest), math.log(least)
    return [table.sigma_of(math.exp(high + part * (low - high))) for part in _parts(steps)]


def _kl_optimal(table: SigmaTable, steps: int) -> list[float]:
    """Even steps of the level's arc tangent (Sabour et al. 2024)."""
    greatest, least = _ends(table)
    high, low = math.atan(greatest), math.atan(least)
    return [table.sigma_of(math.tan(part * low + (1 - part) * high)) for part in _parts(steps)]


def _ends(table: SigmaTable) -> tuple[float, float]:
    return table.level(table.sigmas[-1]), table.level(table.sigmas[0])


def _parts(steps: int) -> list[float]:
    return [index / max(1, steps - 1) for index in range(steps)]


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
        "Simple": _simple,
        "Normal": _even,
        "DDIM": _ddim,
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
    return [*SCHEDULES[chosen](table, steps), table.rest if chosen == "DDIM" and entry.unit else 0.0]
