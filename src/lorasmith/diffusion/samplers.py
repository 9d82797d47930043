"""Samplers under the names of the A1111 web UI: short functions over sigmas, from noise to clean latents.

A sampler (`solvers/`) is a generator for one picture: it yields `Noisy` latents x with their noise level, is sent x_0,
the clean latents that the denoiser sees there, and returns the latents at the end. x is in the terms of Karras et al.
2022: x = x_0 + sigma x noise. So pictures with other samplers, steps and moments can share the denoiser's passes, and
none of them knows of its neighbours. Importable without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from lorasmith.diffusion.solvers.dpmpp import dpmpp_2m, dpmpp_2m_sde, dpmpp_2s_ancestral, dpmpp_3m_sde, dpmpp_sde
from lorasmith.diffusion.solvers.euler import euler, lcm
from lorasmith.diffusion.solvers.heun import heun, restart
from lorasmith.diffusion.solvers.multistep import lms
from lorasmith.diffusion.solvers.unipc import unipc
from lorasmith.diffusion.solvers.walk import Run, Walk
from lorasmith.errors import UsageError, did_you_mean
from lorasmith.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Sampler:
    """A sampler: its name, its function, how infotexts call it, the schedule that "Automatic" means, its own `eta`.

    `evaluations` of the denoiser are made in a step (but one in the last). `unit` ones start with unit noise of the
    denoiser's terms, the others with noise x sigma. For one that `skips`, a level more is made and the last but one
    left out (A1111's `discard_next_to_last_sigma`).
    """

    name: str
    run: Callable[[Tensor, Run], Walk]
    infotext: str
    curve: str = "Uniform"
    eta: float = 0.0
    evaluations: int = 1
    unit: bool = False
    skips: bool = False


SAMPLERS = Registry(
    "a sampler",
    entries=(
        Sampler("Euler a", euler, "Euler a", eta=1.0),
        Sampler("Euler", euler, "Euler"),
        Sampler("DPM++ 2M", dpmpp_2m, "DPM++ 2M"),
        Sampler("DPM++ 2M Karras", dpmpp_2m, "DPM++ 2M", "Karras"),
        Sampler("DPM++ SDE", dpmpp_sde, "DPM++ SDE", eta=1.0, evaluations=2),
        Sampler("DPM++ SDE Karras", dpmpp_sde, "DPM++ SDE", "Karras", eta=1.0, evaluations=2),
        Sampler("DPM++ 2M SDE", dpmpp_2m_sde, "DPM++ 2M SDE", eta=1.0),
        Sampler("DPM++ 2M SDE Karras", dpmpp_2m_sde, "DPM++ 2M SDE", "Karras", eta=1.0),
        Sampler("DPM++ 2S a", dpmpp_2s_ancestral, "DPM++ 2S a", eta=1.0, evaluations=2),
        Sampler("DPM++ 2S a Karras", dpmpp_2s_ancestral, "DPM++ 2S a", "Karras", eta=1.0, evaluations=2),
        Sampler("DPM++ 3M SDE", dpmpp_3m_sde, "DPM++ 3M SDE", eta=1.0, skips=True),
        Sampler("DPM++ 3M SDE Karras", dpmpp_3m_sde, "DPM++ 3M SDE", "Karras", eta=1.0, skips=True),
        Sampler("DPM++ 3M SDE Exponential", dpmpp_3m_sde, "DPM++ 3M SDE", "Exponential", eta=1.0, skips=True),
        Sampler("DDIM", euler, "DDIM", "DDIM", unit=True),
        Sampler("UniPC", unipc, "UniPC", unit=True),
        Sampler("LCM", lcm, "LCM"),
        Sampler("Heun", heun, "Heun", evaluations=2),
        Sampler("LMS", lms, "LMS"),
        Sampler("LMS Karras", lms, "LMS", "Karras"),
        Sampler("Restart", restart, "Restart", "Karras", evaluations=2),
    ),
)
#: What "Automatic" means to the web UI since its version 1.9, where that is not what the plain name means here and
#: meant there before.
WEB_AUTOMATIC: Mapping[str, str] = MappingProxyType(
    {
        "DPM++ 2M": "Karras",
        "DPM++ SDE": "Karras",
        "DPM++ 2M SDE": "Exponential",
        "DPM++ 2S a": "Karras",
        "DPM++ 3M SDE": "Exponential",
    }
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
