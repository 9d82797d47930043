"""Pictures whose pixels are N(mean, deviation): what a denoiser should say of them is known, and where samplers end.

Their best guess at x_0 is (s^2 x + sigma^2 m) / (s^2 + sigma^2); the noise, v and the flow follow from it.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lorasmith.diffusion.parametrisation import Flow, Parametrisation, parametrisation_from_config
from lorasmith.diffusion.samplers import SAMPLERS, begin
from lorasmith.diffusion.sigmas import get_sigmas
from lorasmith.diffusion.solvers.walk import Run
from tests.diffusion.walking import follow

MEAN, DEVIATION = 0.7, 0.4
SHAPE = (1, 4, 64, 64)
CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def parametrisation(kind: str) -> Parametrisation:
    return Flow(2.0) if kind == "flow" else parametrisation_from_config({**CONFIG, "prediction_type": kind})


def denoiser(made: Parametrisation, x_t: Tensor, sigma: float) -> Tensor:
    """What a denoiser that knows the distribution says of x_t, in the terms of its parametrisation."""
    x = x_t * made.spread(sigma)
    x_0 = (DEVIATION**2 * x + sigma**2 * MEAN) / (DEVIATION**2 + sigma**2)
    noise = (x - x_0) / sigma
    if made.prediction == "flow":
        return noise - x_0
    return noise if made.prediction == "epsilon" else (noise - sigma * x_0) / (1 + sigma**2) ** 0.5


def draw(made: Parametrisation, name: str, steps: int) -> tuple[float, float]:
    """Mean and deviation of a picture drawn from noise."""
    generator = torch.Generator().manual_seed(1)
    table = made.sigma_table((512, 512))
    sigmas = get_sigmas("Karras", name, table, steps)
    run = Run(sigmas, lambda: torch.randn(SHAPE, generator=generator), SAMPLERS[name].eta, table.flow)
    x = MEAN + (DEVIATION**2 + sigmas[0] ** 2) ** 0.5 * torch.randn(SHAPE, generator=generator)

    def x_0(x: Tensor, sigma: float) -> Tensor:
        return made.clean_at(x, denoiser(made, x * made.input_scale(sigma), sigma), sigma)

    end, _ = follow(begin(name, x, run), x_0)
    z = end / made.spread(sigmas[-1])
    return float(z.mean()), float(z.std())


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "flow"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_reach_a_known_gaussian(name: str, kind: str) -> None:
    mean, deviation = draw(parametrisation(kind), name, 60)
    assert mean == pytest.approx(MEAN, abs=0.02)
    # First order with fresh noise errs most; LCM's models say a picture of the many, not their mean as this one does.
    assert deviation == pytest.approx(DEVIATION, abs=0.03 if name == "Euler a" else 0.02) or name == "LCM"


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "flow"])
def test_second_order_is_nearer_with_few_steps(kind: str) -> None:
    made = parametrisation(kind)
    far = {name: abs(draw(made, name, 12)[1] - DEVIATION) for name in ("Euler", "Heun", "DPM++ 2M", "UniPC")}
    assert all(far[name] < 0.5 * far["Euler"] for name in ("Heun", "DPM++ 2M", "UniPC")), far
