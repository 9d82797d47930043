"""Samplers and schedules against the numbers of the tools whose names they bear.

The numbers were made by running those functions, in float64, from `START` x 14.6 over k-diffusion's
`get_sigmas_karras(8, 0.03, 14.6)` (Restart: `get_sigmas_exponential(n, 0.03, 14.6)`), with `wavy` for a model and
`noises()` for noise: k-diffusion 4601bf0, `sampling.py` (`sample_lms`, `sample_dpmpp_2s_ancestral`,
`sample_dpmpp_3m_sde`); A1111 1.10, `sd_samplers_extra.py` (`restart_sampler`) and `sd_schedulers.py`
(`get_align_your_steps_sigmas`, `beta_scheduler` with scipy 1.17.1's `stats.beta.ppf`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from lorasmith.bases.families import find_family
from lorasmith.diffusion.levels import karras
from lorasmith.diffusion.parametrisation import Flow, parametrisation_from_config
from lorasmith.diffusion.samplers import SAMPLERS, WEB_AUTOMATIC, begin
from lorasmith.diffusion.sigmas import SCHEDULES, SigmaTable, beta_quantile, get_sigmas
from lorasmith.diffusion.solvers.heun import restart_steps
from lorasmith.diffusion.solvers.walk import Run
from tests.diffusion.walking import follow

START = torch.tensor([[[[0.3, -1.2], [0.7, 2.0]]]], dtype=torch.float64)
CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def wavy(x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(x / (sigma + 1)) * 0.8 + 0.1 * torch.sin(x)


def noises() -> Callable[[], Tensor]:
    def each() -> Iterator[Tensor]:
        number = 0
        while True:
            number += 1
            yield torch.sin(number * torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], dtype=torch.float64)) * 1.3

    return each().__next__


def exponential(count: int) -> list[float]:
    low, high = math.log(0.03), math.log(14.6)
    return [math.exp(high + index / (count - 1) * (low - high)) for index in range(count)] + [0.0]


def walk(name: str, sigmas: list[float], eta: float = 1.0) -> list[float]:
    end, _ = follow(begin(name, START * 14.6, Run(sigmas, noises(), eta)), wavy)
    return [float(value) for value in end.flatten()]


@pytest.mark.parametrize(
    ("name", "eta", "theirs"),
    [
        ("LMS", 0.0, [0.203787, -0.442239, 0.351472, 0.513961]),
        ("DPM++ 2S a", 1.0, [-0.126064, -0.036845, 0.058024, 0.080671]),
        ("DPM++ 2S a", 0.0, [0.200357, -0.439824, 0.346785, 0.513618]),
        ("DPM++ 3M SDE", 1.0, [-0.297034, 0.031019, -0.03851, 0.234468]),
        ("DPM++ 3M SDE", 0.0, [0.185138, -0.401754, 0.314958, 0.48352]),
    ],
)
def test_the_numbers_are_k_diffusion_s(name: str, eta: float, theirs: list[float]) -> None:
    assert walk(name, [*karras(14.6, 0.03, 8), 0.0], eta) == pytest.approx(theirs, abs=2e-5)


@pytest.mark.parametrize(
    ("steps", "theirs"),
    [
        (12, [0.189689, -0.416737, 0.327846, 0.491283]),
        (20, [0.384877, 0.332555, 0.179236, -0.265251]),
        (25, [0.390934, 0.330541, 0.187912, -0.256356]),
        (36, [0.422902, -0.298607, -0.115046, 0.374304]),
        (41, [0.426953, -0.302656, -0.117186, 0.378534]),
    ],
)
def test_restart_is_the_web_ui_s(steps: int, theirs: list[float]) -> None:
    assert walk("Restart", exponential(steps)) == pytest.approx(theirs, abs=2e-5)


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("steps", [1, 19, 20, 35, 36, 50, 100])
def test_restart_takes_as_many_steps_as_were_asked_for(steps: int, flow: bool) -> None:
    made = Flow(3.0) if flow else parametrisation_from_config(CONFIG)
    walked = restart_steps(get_sigmas("Automatic", "Restart", made.sigma_table((512, 512)), steps), flow)
    assert len(walked) == steps
    assert walked[-1][1] == 0
    ups = sum(before[1] < after[0] for before, after in pairwise(walked))
    assert ups == (0 if steps < 20 else 1 if steps < 36 else 2)


def tables() -> dict[str, SigmaTable]:
    """Of SD 1 and SDXL, which differ in Align Your Steps alone."""
    sd1 = parametrisation_from_config(CONFIG)
    sdxl = replace(sd1, aligned=find_family("sdxl").aligned_sigmas)
    assert sdxl.aligned != sd1.aligned
    return {"sd1": sd1.sigma_table((512, 512)), "sdxl": sdxl.sigma_table((512, 512))}


def test_align_your_steps_is_the_web_ui_s() -> None:
    sd1, sdxl = tables().values()
    theirs = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029, 0]
    assert get_sigmas("Align Your Steps", "Euler", sd1, 11) == pytest.approx(theirs, rel=1e-2)
    theirs = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029, 0]
    assert get_sigmas("Align Your Steps", "Euler", sdxl, 11) == pytest.approx(theirs, rel=1e-2)
    # Between two of them on a straight line of the logarithm: 21 steps have each eleventh's middle, too.
    finer = get_sigmas("Align Your Steps", "Euler", sd1, 21)
    assert finer[3] == pytest.approx(math.sqrt(6.475 * 3.861), rel=1e-6)
    assert finer[4] == pytest.approx(3.861, rel=1e-6)
    assert get_sigmas("Align Your Steps", "Euler", sd1, 1)[0] == pytest.approx(14.6, rel=1e-2), "theirs begins at 0.029"


def test_beta_is_the_web_ui_s() -> None:
    theirs = {0: 0, 0.05: 0.01255446, 0.25: 0.17568038, 0.5: 0.5, 0.7: 0.765983, 0.9: 0.96041559, 1: 1}
    for share, quantile in theirs.items():
        assert beta_quantile(share) == pytest.approx(quantile, abs=1e-7)
    table = tables()["sd1"]
    sigmas = get_sigmas("Beta", "Euler", table, 5)
    low, high = table.sigmas[0], table.sigmas[-1]
    shares = [1, 1 - 0.17568038, 0.5, 0.17568038, 0]
    assert sigmas == pytest.approx([*(low + part * (high - low) for part in shares), 0], rel=1e-6)


def test_the_third_order_leaves_out_the_level_before_the_last() -> None:
    """A1111, `sd_samplers_kdiffusion.py`: `discard_next_to_last_sigma`."""
    table = tables()["sd1"]
    whole = get_sigmas("Karras", "Euler", table, 9)
    assert get_sigmas("Karras", "DPM++ 3M SDE", table, 8) == [*whole[:-2], 0.0]


def test_what_automatic_means_is_the_web_ui_s() -> None:
    """A1111 1.10, `samplers_k_diffusion`: the option `scheduler` of each."""
    theirs = {
        "Euler a": None,
        "Euler": None,
        "LMS": None,
        "Heun": None,
        "DPM++ 2M": "Karras",
        "DPM++ SDE": "Karras",
        "DPM++ 2M SDE": "Exponential",
        "DPM++ 2S a": "Karras",
        "DPM++ 3M SDE": "Exponential",
        "Restart": "Karras",
    }
    for name, schedule in theirs.items():
        own = SAMPLERS[name].curve
        assert WEB_AUTOMATIC.get(name, own) == (schedule or "Uniform"), name
    assert set(WEB_AUTOMATIC) <= set(theirs)
    assert set(WEB_AUTOMATIC.values()) <= set(SCHEDULES)
