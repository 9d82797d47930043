"""Sigma tables of flows: ComfyUI's and diffusers' numbers, and Euler's steps are diffusers' own."""

from __future__ import annotations

import math
from itertools import pairwise

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor

from lorasmith.diffusion.levels import MOST_SIGMA, flow_time
from lorasmith.diffusion.parametrisation import Flow
from lorasmith.diffusion.samplers import SAMPLERS, begin, start
from lorasmith.diffusion.sigmas import SCHEDULE_NAMES, get_sigmas
from lorasmith.diffusion.solvers.walk import Run
from lorasmith.diffusion.timesteps import SizeShift
from tests.diffusion.walking import follow

SQUARE = (1024, 1024)
SHAPE = (1, 4, 1, 4, 4)


def velocity(x_t: Tensor, t: float) -> Tensor:
    """A model whose answer depends on x and t."""
    return torch.tanh(x_t + t) - 0.5 * torch.sin(3 * x_t)


def times(schedule: str, shift: float, steps: int) -> list[float]:
    return [flow_time(sigma) for sigma in get_sigmas(schedule, "Euler", Flow(shift).sigma_table(SQUARE), steps)]


def theirs(shift: float, steps: int, even: bool) -> diffusers.FlowMatchEulerDiscreteScheduler:
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    if even:
        scheduler.set_timesteps(steps)
    else:  # as the pipelines of flows ask
        scheduler.set_timesteps(sigmas=list(np.linspace(1.0, 1 / steps, steps)))
    return scheduler


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize(("schedule", "even"), [("Uniform", True), ("Simple", False)])
@pytest.mark.parametrize("steps", [1, 4, 25])
def test_euler_on_a_flow_is_diffusers_own(schedule: str, even: bool, shift: float, steps: int) -> None:
    scheduler = theirs(shift, steps, even)
    sigmas = get_sigmas(schedule, "Euler", Flow(shift).sigma_table(SQUARE), steps)
    assert [flow_time(sigma) for sigma in sigmas] == pytest.approx(scheduler.sigmas.tolist(), abs=1e-6)
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    x_t = noise
    for t in scheduler.timesteps:
        x_t = scheduler.step(velocity(x_t, float(t) / 1000), t, x_t).prev_sample
    flow = Flow(shift)
    walk = begin("Euler", start("Euler", noise, sigmas[0], flow.spread(sigmas[0])), Run(sigmas, Tensor, flow=True))
    end, _ = follow(
        walk,
        lambda x, sigma: flow.clean_at(x, velocity(x / flow.spread(sigma), flow.time(sigma)), sigma),
    )
    torch.testing.assert_close(end, x_t, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_comfyui_s_curves_are_over_t(shift: float) -> None:
    """ModelSamplingDiscreteFlow's table and k-diffusion's curves over it, written out."""
    table = [shift * t / (1 + (shift - 1) * t) for t in (k / 1000 for k in range(1, 1001))]
    steps = 7
    parts = [step / (steps - 1) for step in range(steps)]
    high, low = table[-1] ** (1 / 7), table[0] ** (1 / 7)
    assert times("Karras", shift, steps) == pytest.approx([(high + p * (low - high)) ** 7 for p in parts] + [0])
    logs = [math.log(table[-1]) + p * (math.log(table[0]) - math.log(table[-1])) for p in parts]
    assert times("Exponential", shift, steps) == pytest.approx([*map(math.exp, logs), 0])
    assert times("Simple", shift, steps) == pytest.approx(
        [table[-(1 + int(x * 1000 / steps))] for x in range(steps)] + [0]
    )
    even = torch.linspace(1, table[0], steps + 1, dtype=torch.float64)[:-1]
    assert times("SGM Uniform", shift, steps) == pytest.approx([*(shift * even / (1 + (shift - 1) * even)).tolist(), 0])


@pytest.mark.parametrize("schedule", SCHEDULE_NAMES)
@pytest.mark.parametrize("sampler", ["Euler a", "DDIM"])
@pytest.mark.parametrize("steps", [1, 2, 7, 150])
def test_a_flow_s_sigmas_fall_to_nought(schedule: str, sampler: str, steps: int) -> None:
    sigmas = get_sigmas(schedule, sampler, Flow(SizeShift()).sigma_table((768, 1024)), steps)
    assert len(sigmas) == steps + 1
    assert sigmas[-1] == 0
    assert all(before > after for before, after in pairwise(sigmas))
    assert sigmas[0] <= MOST_SIGMA
    if schedule not in ("DDIM", "Automatic"):
        assert flow_time(sigmas[0]) == 1


def test_the_shift_of_a_table_is_the_picture_s() -> None:
    flow = Flow(SizeShift())
    small, large = (get_sigmas("Simple", "Euler", flow.sigma_table(size), 2)[1] for size in ((256, 256), SQUARE))
    assert small == pytest.approx(math.exp(0.5))
    assert large == pytest.approx(math.exp(1.15))


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("schedule", ["Automatic", "Simple", "Karras"])
def test_every_sampler_on_a_flow_ends_at_what_the_model_knows(name: str, schedule: str) -> None:
    flow, target = Flow(3.0), torch.linspace(-1, 1, 64).view(SHAPE)
    sigmas = get_sigmas(schedule, name, flow.sigma_table(SQUARE), 6)
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(SHAPE, generator=generator)
    run = Run(sigmas, lambda: torch.randn(SHAPE, generator=generator), SAMPLERS[name].eta, flow=True)
    walk = begin(name, start(name, noise, sigmas[0], flow.spread(sigmas[0])), run)
    end, _ = follow(walk, lambda *_: target)
    torch.testing.assert_close(end, target, atol=1e-4, rtol=0)
