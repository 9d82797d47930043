"""Parametrisations against the formulas written out one timestep at a time."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lorasmith.diffusion.parametrisation import Discrete, Flow, Parametrisation, parametrisation_from_config
from lorasmith.diffusion.timesteps import whole_timesteps
from lorasmith.errors import BaseError

STABLE_DIFFUSION: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}


def slow_alphas_cumprod() -> list[float]:
    start, end = math.sqrt(0.00085), math.sqrt(0.012)
    product, table = 1.0, []
    for step in range(1000):
        product *= 1 - (start + (end - start) * step / 999) ** 2
        table.append(product)
    return table


def schedule(prediction: str = "epsilon") -> Discrete:
    return parametrisation_from_config(STABLE_DIFFUSION | {"prediction_type": prediction})


def test_alphas_of_stable_diffusion() -> None:
    slow = torch.tensor(slow_alphas_cumprod())
    torch.testing.assert_close(schedule().alphas_cumprod, slow, rtol=2e-5, atol=1e-7)
    assert schedule().alphas_cumprod[-1] == pytest.approx(0.00466, abs=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_add_noise_target_and_clean_belong_together(prediction: str) -> None:
    made = schedule(prediction)
    generator = torch.Generator().manual_seed(0)
    x_0, noise = torch.randn(4, 2, 3, 3, generator=generator), torch.randn(4, 2, 3, 3, generator=generator)
    rows = [0, 10, 500, 900]
    t = torch.tensor(rows) / 1000
    x_t, target = made.noised(x_0, noise, t), made.target(x_0, noise, t)
    table = slow_alphas_cumprod()
    for row, step in enumerate(rows):
        signal, spread = math.sqrt(table[step]), math.sqrt(1 - table[step])
        torch.testing.assert_close(x_t[row], signal * x_0[row] + spread * noise[row], rtol=1e-4, atol=1e-5)
        expected = noise[row] if prediction == "epsilon" else signal * noise[row] - spread * x_0[row]
        torch.testing.assert_close(target[row], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made.clean(x_t, target, t), x_0, rtol=1e-3, atol=1e-4)


def test_zero_terminal_snr_ends_in_noise_and_keeps_the_first() -> None:
    rescaled = parametrisation_from_config(STABLE_DIFFUSION | {"rescale_betas_zero_snr": True}).alphas_cumprod
    assert rescaled[-1] == 0
    assert rescaled[0].item() == pytest.approx(slow_alphas_cumprod()[0], rel=1e-5)
    assert bool((rescaled.diff() < 0).all())
    later = parametrisation_from_config(STABLE_DIFFUSION).to_zero_terminal().alphas_cumprod
    assert torch.equal(later, rescaled)


@pytest.mark.parametrize("wrong", [{"prediction_type": "flow"}, {"beta_schedule": "cosine"}])
def test_unknown_forms_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(BaseError, match="not supported"):
        parametrisation_from_config(STABLE_DIFFUSION | wrong)


def test_a_discrete_denoiser_is_told_the_same_whole_timesteps_and_looks_them_up() -> None:
    made, rows = schedule(), torch.arange(1000)
    assert torch.equal(made.model_time(rows / 1000), rows.float())
    assert torch.equal(made.model_time(rows.double() / 1000), rows.float())
    assert torch.equal(made.snr(rows / 1000), made.alphas_cumprod / (1 - made.alphas_cumprod))
    assert torch.equal(whole_timesteps(rows / 1000), rows)
    assert made.model_time(torch.tensor([321.5], dtype=torch.float64) / 1000) == 321.5


def every() -> list[Parametrisation]:
    ending = parametrisation_from_config(
        STABLE_DIFFUSION | {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    )
    return [schedule(), schedule("v_prediction"), ending, Flow(), Flow(3.0)]


@pytest.mark.parametrize("made", every(), ids=lambda made: made.prediction)
def test_what_is_mixed_comes_back(made: Parametrisation) -> None:
    """Noised, target, clean: by t, and in a sampler's terms by sigma."""
    generator = torch.Generator().manual_seed(0)
    shape = (5, 2, 1, 3, 3)
    x_0, noise = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    t = torch.tensor([0.001, 0.1, 0.5, 0.9, 0.998])
    x_t, output = made.noised(x_0, noise, t), made.target(x_0, noise, t)
    torch.testing.assert_close(made.clean(x_t, output, t), x_0, rtol=1e-3, atol=2e-3)
    for row, sigma in enumerate(made.sigma(t).tolist()):
        x = x_0[row] + sigma * noise[row]
        torch.testing.assert_close(x * made.input_scale(sigma), x_t[row], rtol=1e-4, atol=1e-5)
        assert made.spread(sigma) * made.input_scale(sigma) == pytest.approx(1)
        torch.testing.assert_close(made.clean_at(x, output[row], sigma), x_0[row], rtol=1e-3, atol=2e-3)
        assert made.time(sigma) == pytest.approx(t[row].item(), abs=1e-5)
    torch.testing.assert_close(made.snr(t), made.sigma(t) ** -2, rtol=1e-4, atol=0)
    assert bool((made.sigma(t).diff() > 0).all())


def test_a_flow_goes_straight_from_the_picture_to_noise() -> None:
    flow = Flow(3.0)
    x_0, noise = torch.ones(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    t = torch.tensor([0.0, 0.25, 1.0])
    assert flow.noised(x_0, noise, t)[:, 0, 0, 0].tolist() == [1.0, 0.75, 0.0]
    assert torch.equal(flow.target(x_0, noise, t), -x_0)
    assert flow.snr(torch.tensor([0.2])).item() == pytest.approx(16)
    assert flow.time(math.inf) == flow.time(2.0**20) == 1.0
    assert torch.equal(flow.model_time(t), t)
    assert flow.to_zero_terminal() is flow
