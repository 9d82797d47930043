"""Samplers: exact on a model that knows the answer, rows apart from each other, diffusers' own DDIM to the bit."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from lorasmith.diffusion.samplers import SAMPLERS, Walk, find_sampler
from lorasmith.diffusion.schedule import NoiseSchedule, schedule_from_config
from lorasmith.errors import UsageError

CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def schedule(prediction: str = "epsilon") -> NoiseSchedule:
    return schedule_from_config({**CONFIG, "prediction_type": prediction})


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def noise_of(rows: list[torch.Generator]) -> Tensor:
    return torch.cat([torch.randn((1, 4, 4, 4), generator=row) for row in rows])


def walk_to_the_end(name: str, noise_schedule: NoiseSchedule, target: Tensor, seeds: list[int], steps: int) -> Tensor:
    """Sample with a model that always says: the clean latents are `target`."""
    rows = generators(*seeds)
    walk = Walk(name, noise_schedule, steps)
    x = walk.start(noise_of(rows))
    # The alpha-bar that a timestep means, also between whole ones.
    log_sigma = ((1 - noise_schedule.alphas_cumprod) / noise_schedule.alphas_cumprod).sqrt()
    for t in walk.timesteps:
        low = int(t)
        part = float(t) - low
        high = min(low + 1, 999)
        sigma = (1 - part) * log_sigma[low] + part * log_sigma[high]
        signal, spread = 1 / (1 + sigma**2).sqrt(), sigma / (1 + sigma**2).sqrt()
        seen = walk.scale(x, t)
        epsilon = (seen - signal * target) / spread
        output = epsilon if noise_schedule.prediction == "epsilon" else signal * epsilon - spread * target
        x = walk.step(output, t, x, rows)
    return x


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [2, 5, 20])
def test_every_sampler_ends_at_what_the_model_knows(name: str, prediction: str, steps: int) -> None:
    target = torch.linspace(-1, 1, 2 * 4 * 4 * 4).view(2, 4, 4, 4)
    found = walk_to_the_end(name, schedule(prediction), target, [1, 2], steps)
    # DDIM ends at alpha-bar of step 0, the original code's choice: a rest of noise of 0.03 stays.
    torch.testing.assert_close(found, target, atol=0.15 if name == "DDIM" else 2e-2, rtol=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_row_in_a_batch_is_the_row_alone(name: str) -> None:
    target = torch.zeros(3, 4, 4, 4)
    together = walk_to_the_end(name, schedule(), target, [5, 6, 7], 6)
    alone = walk_to_the_end(name, schedule(), target[:1], [6], 6)
    torch.testing.assert_close(together[1:2], alone, atol=1e-6, rtol=0)


def test_ddim_is_the_pipelines_own() -> None:
    theirs = DDIMScheduler(**CONFIG, clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    theirs.set_timesteps(20)
    walk = Walk("DDIM", schedule(), 20)
    assert walk.timesteps.tolist() == theirs.timesteps.tolist()
    x, output = noise_of(generators(1)), noise_of(generators(2))
    for t in theirs.timesteps:
        ours = walk.step(output, t, x, [])
        torch.testing.assert_close(ours, theirs.step(output, t, x).prev_sample, atol=1e-6, rtol=0)


def test_pure_noise_at_the_end_of_the_schedule_stays_finite() -> None:
    zero_snr = schedule_from_config({**CONFIG, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True})
    assert zero_snr.alphas_cumprod[-1] == 0
    for name in SAMPLERS:
        walk = Walk(name, zero_snr, 4)
        rows = generators(1)
        x = walk.start(noise_of(rows))
        for t in walk.timesteps:
            x = walk.step(torch.zeros_like(x), t, x, rows)
        assert torch.isfinite(x).all()


def test_names() -> None:
    assert find_sampler("ddim") == "DDIM"
    assert find_sampler(" euler A ") == "Euler a"
    with pytest.raises(UsageError, match=r'Did you mean "DPM\+\+ 2M"'):
        find_sampler("DPM++ 2N")
    with pytest.raises(UsageError, match="Known samplers: DDIM"):
        find_sampler("xyz")
