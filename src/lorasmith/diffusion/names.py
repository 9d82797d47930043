"""Which samplers and noise schedules there are, under the names of the A1111 web UI. Importable without torch.

What a sampler computes stands in `lorasmith.diffusion.samplers`, one function for each method.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lorasmith.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Sampler:
    """A sampler: its method, how infotexts call it, the schedule that "Automatic" means, and its own `eta`.

    `evaluations` of the denoiser are made in a step (but one in the last). `unit` ones start with unit noise of
    DDPM's terms, the others with noise x sigma.
    """

    method: str
    infotext: str
    curve: str = "Uniform"
    eta: float = 0.0
    evaluations: int = 1
    unit: bool = False


SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        "Euler a": Sampler("euler", "Euler a", eta=1.0),
        "Euler": Sampler("euler", "Euler"),
        "DPM++ 2M": Sampler("dpmpp_2m", "DPM++ 2M"),
        "DPM++ 2M Karras": Sampler("dpmpp_2m", "DPM++ 2M", "Karras"),
        "DPM++ SDE": Sampler("dpmpp_sde", "DPM++ SDE", eta=1.0, evaluations=2),
        "DPM++ SDE Karras": Sampler("dpmpp_sde", "DPM++ SDE", "Karras", eta=1.0, evaluations=2),
        "DPM++ 2M SDE": Sampler("dpmpp_2m_sde", "DPM++ 2M SDE", eta=1.0),
        "DPM++ 2M SDE Karras": Sampler("dpmpp_2m_sde", "DPM++ 2M SDE", "Karras", eta=1.0),
        "DDIM": Sampler("euler", "DDIM", "DDIM", unit=True),
        "UniPC": Sampler("unipc", "UniPC", "Uniform", unit=True),
        "LCM": Sampler("lcm", "LCM"),
        "Heun": Sampler("heun", "Heun", evaluations=2),
    }
)
#: What "Automatic" means to the web UI since its version 1.9, where that is not what the plain name means here and
#: meant there before.
WEB_AUTOMATIC: Mapping[str, str] = MappingProxyType(
    {"DPM++ 2M": "Karras", "DPM++ SDE": "Karras", "DPM++ 2M SDE": "Exponential"}
)
#: How a sampler's noise levels may fall; "Automatic" is the sampler's own.
SCHEDULES = (
    "Automatic",
    "Uniform",
    "Karras",
    "Exponential",
    "Polyexponential",
    "SGM Uniform",
    "KL Optimal",
    "Simple",
    "Normal",
    "DDIM",
)


def find_schedule(name: str) -> str:
    """The exact name of the schedule that `name` means, in any case. Raises UsageError naming the nearest."""
    return _find("schedule", name, SCHEDULES)


def find_sampler(name: str) -> str:
    """The exact name of the sampler that `name` means, in any case. Raises UsageError naming the nearest."""
    return _find("sampler", name, SAMPLERS)


def _find(kind: str, name: str, names: Collection[str]) -> str:
    for known in names:
        if name.strip().lower() == known.lower():
            return known
    hint = did_you_mean(name, names) or f"Known {kind}s: {', '.join(names)}."
    raise UsageError(f'"{name}": unknown {kind}.', hint=hint)
