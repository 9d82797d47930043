"""Loss weights and measures against kohya's formulas, written out slowly on tables of cases."""

from __future__ import annotations

import math

import pytest
import torch

from lorasmith.diffusion.losses import LOSSES, WEIGHTS, ErrorMeasure, HuberSchedule, Loss, TimestepWeights
from lorasmith.diffusion.parametrisation import Flow, Prediction, parametrisation_from_config
from lorasmith.recipe.recipe import Recipe
from lorasmith.training.unpacking import unpack

STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
T = [0, 1, 50, 200, 400, 700, 999]


def alphas() -> list[float]:
    """The cumulative products, in double precision."""
    product, table = 1.0, []
    for step in range(1000):
        root = 0.00085**0.5 + (0.012**0.5 - 0.00085**0.5) * step / 999
        product *= 1 - root * root
        table.append(product)
    return table


def slow_weight(weights: TimestepWeights, prediction: Prediction, alpha: float) -> float:
    values = {name: weights.values.get(name, 0) for name in WEIGHTS}
    snr = alpha / (1 - alpha)
    bounded = min(snr, 1000.0)
    v = prediction == "v_prediction"
    weight = 1.0
    if values["min_snr_gamma"]:
        weight *= min(snr, values["min_snr_gamma"]) / (snr + 1 if v else snr)
    if values["scale_v"]:
        weight *= bounded / (bounded + 1)
    if values["v_like"]:
        weight += weight / (bounded / (bounded + 1)) * values["v_like"]
    if values["debiased"]:
        weight *= 1 / (bounded + 1) if v else 1 / math.sqrt(bounded)
    if values["p2_gamma"]:
        weight /= (1 + snr) ** values["p2_gamma"]
    return weight


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(
    "weights",
    [
        TimestepWeights({"min_snr_gamma": 5}),
        TimestepWeights({"min_snr_gamma": 1, "scale_v": True}),
        TimestepWeights({"v_like": 0.7}),
        TimestepWeights({"min_snr_gamma": 5, "v_like": 0.2}),
        TimestepWeights({"debiased": True}),
        TimestepWeights({"p2_gamma": 1}),
        TimestepWeights({"p2_gamma": 0.5, "min_snr_gamma": 5}),
    ],
    ids=str,
)
def test_weights(weights: TimestepWeights, prediction: Prediction) -> None:
    schedule = parametrisation_from_config(STABLE_DIFFUSION | {"prediction_type": prediction})
    ours = weights.at(schedule, torch.tensor(T) / 1000)
    assert ours is not None
    table = alphas()
    for row, step in enumerate(T):
        assert ours[row].item() == pytest.approx(slow_weight(weights, prediction, table[step]), rel=2e-3), step


def test_no_weights_are_none() -> None:
    assert TimestepWeights().at(parametrisation_from_config(STABLE_DIFFUSION), torch.tensor(T) / 1000) is None


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_pure_noise_at_the_end_weighs_a_finite_number(prediction: Prediction) -> None:
    rescaled = parametrisation_from_config(STABLE_DIFFUSION | {"prediction_type": prediction}).to_zero_terminal()
    for weights in (
        TimestepWeights({"min_snr_gamma": 5}),
        TimestepWeights({"debiased": True}),
        TimestepWeights({"p2_gamma": 1}),
    ):
        last = weights.at(rescaled, torch.tensor([0.999]))
        assert last is not None
        assert bool(last.isfinite().all())


@pytest.mark.parametrize("how", ["constant", "exponential", "snr"])
def test_huber_threshold(how: HuberSchedule) -> None:
    schedule = parametrisation_from_config(STABLE_DIFFUSION)
    c, scale, table = 0.1, 1.5, alphas()
    ours = ErrorMeasure("huber", c, scale, how).threshold(schedule, torch.tensor(T) / 1000)
    for row, step in enumerate(T):
        sigma = math.sqrt((1 - table[step]) / table[step])
        wanted = {
            "constant": c * scale,
            "exponential": math.exp(step * math.log(c) / 1000) * scale,
            "snr": (1 - c) / (1 + sigma) ** 2 + c,
        }[how]
        assert ours[row].item() == pytest.approx(wanted, rel=1e-3), step


def test_measures() -> None:
    schedule, t = parametrisation_from_config(STABLE_DIFFUSION), torch.tensor([0.3])
    difference = torch.tensor([[-2.0, -0.1, 0.0, 0.5]])
    c = 0.2
    for number, d in enumerate(difference[0].tolist()):
        rounded = 2 * (math.sqrt(d * d + c * c) - c)
        wanted = {"l2": d * d, "l1": abs(d), "huber": c * rounded, "smooth_l1": rounded}
        for kind, value in wanted.items():
            measure = ErrorMeasure(kind, c, 1.0, "constant")
            assert measure(difference, schedule, t)[0, number].item() == pytest.approx(value, abs=1e-6), kind


def test_a_loss_is_one_entry() -> None:
    quartic = LOSSES.register(Loss("quartic", lambda difference, _: difference**4))
    try:
        recipe = Recipe.model_validate({"epochs": 1, "loss": {"kind": "quartic"}})
        measure = unpack(recipe).loss.measure
        assert measure(torch.tensor([[2.0]]), Flow(), torch.tensor([0.5])).item() == 16
    finally:
        LOSSES.remove(quartic)
    with pytest.raises(ValueError, match=r'unknown loss\. Did you mean "huber"'):
        Recipe.model_validate({"epochs": 1, "loss": {"kind": "hubert"}})


def test_huber_on_a_flow_knows_its_noise_level() -> None:
    t = torch.tensor([0.0, 0.25, 1.0])
    found = ErrorMeasure("huber", 0.1, 1.0, "snr").threshold(Flow(), t)
    torch.testing.assert_close(found, 0.9 * (1 - t) ** 2 + 0.1)
