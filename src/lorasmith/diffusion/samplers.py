"""Samplers under the names of the A1111 web UI, on diffusers' schedulers, with the base's own noise schedule."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from lorasmith.diffusion.schedule import NoiseSchedule
from lorasmith.errors import UsageError, did_you_mean

# A terminal alpha-bar of exactly 0 has no finite sigma; diffusers puts the same number in its place.
_LEAST_ALPHA = 2.0**-24


@dataclass(frozen=True)
class Sampler:
    """A diffusers scheduler class by name, its settings, and how infotexts call it.

    `ancestral` samplers draw noise at every step.
    """

    scheduler: str
    settings: Mapping[str, Any]
    infotext: str
    curve: str = "Automatic"
    ancestral: bool = False


# "linspace" are the timesteps of k-diffusion (Karras et al. 2022), "leading" with offset 1 those of the original
# DDIM code; both as in the web UI.
SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        "DDIM": Sampler(
            "DDIMScheduler",
            {"timestep_spacing": "leading", "steps_offset": 1, "clip_sample": False, "set_alpha_to_one": False},
            "DDIM",
        ),
        "Euler a": Sampler(
            "EulerAncestralDiscreteScheduler", {"timestep_spacing": "linspace"}, "Euler a", ancestral=True
        ),
        "Euler": Sampler("EulerDiscreteScheduler", {"timestep_spacing": "linspace"}, "Euler"),
        "DPM++ 2M": Sampler("DPMSolverMultistepScheduler", {"timestep_spacing": "linspace"}, "DPM++ 2M"),
        "DPM++ 2M Karras": Sampler(
            "DPMSolverMultistepScheduler",
            {"timestep_spacing": "linspace", "use_karras_sigmas": True},
            "DPM++ 2M",
            curve="Karras",
        ),
    }
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
    for known in SCHEDULES:
        if name.strip().lower() == known.lower():
            return known
    hint = did_you_mean(name, SCHEDULES) or f"Known schedules: {', '.join(SCHEDULES)}."
    raise UsageError(f'"{name}": unknown schedule.', hint=hint)


def find_sampler(name: str) -> str:
    """The exact name of the sampler that `name` means, in any case. Raises UsageError naming the nearest."""
    by_lower = {known.lower(): known for known in SAMPLERS}
    if name.strip().lower() in by_lower:
        return by_lower[name.strip().lower()]
    hint = did_you_mean(name, SAMPLERS) or f"Known samplers: {', '.join(SAMPLERS)}."
    raise UsageError(f'"{name}": unknown sampler.', hint=hint)


class Walk:
    """One sampler's way from noise to a picture's latents, for a batch of rows that do not know of each other.

    Use: ``x = walk.start(noise)``, then for each `t` of `walk.timesteps`:
    ``x = walk.step(denoise(walk.scale(x, t), t), t, x, generators)``. Rows draw their noise from their own
    generators, so a row in a batch is the row drawn alone.
    """

    def __init__(
        self, name: str, noise_schedule: NoiseSchedule, steps: int, device: torch.device | str = "cpu"
    ) -> None:
        import diffusers

        self._sampler = SAMPLERS[find_sampler(name)]
        alphas = noise_schedule.alphas_cumprod.double().clamp(min=_LEAST_ALPHA)
        before = torch.cat([torch.ones(1, dtype=alphas.dtype), alphas[:-1]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # diffusers' own, about numpy
            self._scheduler = getattr(diffusers, self._sampler.scheduler)(
                num_train_timesteps=len(alphas),
                trained_betas=(1 - alphas / before).tolist(),
                prediction_type=noise_schedule.prediction,
                **self._sampler.settings,
            )
            # The betas above lose the last bits; samplers must see the very schedule that was trained on.
            self._scheduler.alphas_cumprod = alphas.float()
            if hasattr(self._scheduler, "final_alpha_cumprod"):
                self._scheduler.final_alpha_cumprod = alphas[0].float()
            self._scheduler.set_timesteps(steps, device=device)
        self.timesteps: Tensor = self._scheduler.timesteps

    def start(self, noise_BCHW: Tensor) -> Tensor:
        """Unit noise at the spread where the sampler begins."""
        return noise_BCHW * self._scheduler.init_noise_sigma  # type: ignore[no-any-return]

    def scale(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The latents as the denoiser wants to see them."""
        return self._scheduler.scale_model_input(x_t, t)  # type: ignore[no-any-return]

    def step(self, output: Tensor, t: Tensor, x_t: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """One step; `generators` holds one per row and is used by ancestral samplers only."""
        extra = {"generator": list(generators)} if self._sampler.ancestral else {}
        return self._scheduler.step(output, t, x_t, return_dict=False, **extra)[0]  # type: ignore[no-any-return]
