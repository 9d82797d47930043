"""What a base cannot learn from, by what it predicts, is refused by the key's name with the reason, all at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lorasmith.bases.base import Base
from lorasmith.bases.families import FAMILIES
from lorasmith.bases.families.facts import Preset
from lorasmith.bases.families.sd1 import SD1
from lorasmith.diffusion.losses import WEIGHTS
from lorasmith.errors import RecipeError
from lorasmith.project import SubjectKind
from lorasmith.recipe import fields
from lorasmith.recipe import recipe as recipes
from lorasmith.recipe.prediction import check_prediction, prediction_faults
from lorasmith.recipe.presets import preset
from lorasmith.recipe.recipe import Recipe, read_recipe
from lorasmith.training.loop import training_base
from tests.projects import build_project


def recipe(**values: Any) -> Recipe:
    return Recipe.model_validate({"epochs": 1, **values})


@pytest.mark.parametrize(
    "values",
    [{"loss": {"scale_v": True}}, {"noise": {"zero_terminal_snr": True}}],
    ids=["scale_v", "zero_terminal_snr"],
)
def test_what_needs_a_v_prediction_base_says_so(tiny_base: Base, values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="predicts noise"):
        check_prediction(recipe(**values), tiny_base.parametrisation.prediction, tiny_base.name)
    check_prediction(recipe(**values), "v_prediction", "b")


def test_a_run_s_base_is_asked() -> None:
    with pytest.raises(RecipeError, match=r"loss\.v_like is for bases that predict noise; doodle predicts v"):
        training_base(recipe(base="doodle", loss={"v_like": 0.5}))


EVERYTHING: dict[str, Any] = {
    "prediction": "epsilon",
    "loss": {"min_snr_gamma": 5, "p2_gamma": 1, "scale_v": True, "v_like": 0.1},
    "noise": {"offset": 0.1, "offset_adaptive": 0.1, "multires_iterations": 4, "zero_terminal_snr": True},
}


def test_a_flow_refuses_all_that_means_nothing_to_it() -> None:
    faults = list(prediction_faults(recipe(**EVERYTHING), "flow", "b"))
    assert len(faults) == 9
    keys = [*(f"loss.{key}" for key in EVERYTHING["loss"]), *(f"noise.{key}" for key in EVERYTHING["noise"])]
    for key in [*keys, "prediction = epsilon"]:
        (fault,) = [each for each in faults if each.startswith((f"{key} ", f"{key}:"))]
        assert "b predicts a flow" in fault
    assert any("loss.debiased" in each for each in prediction_faults(recipe(loss={"debiased": True}), "flow", "b"))
    with pytest.raises(RecipeError) as caught:
        check_prediction(recipe(**EVERYTHING), "flow", "b")
    assert all(key in str(caught.value) for key in keys)


def test_a_flow_takes_the_rest() -> None:
    asked = recipe(
        loss={"kind": "huber"},
        noise={"ip_gamma": 0.1},
        timesteps={"sampling": "sigmoid", "std": 1.2, "shift": "size", "min": 10},
    )
    assert list(prediction_faults(asked, "flow", "b")) == []


def test_a_flow_s_recipe_is_refused_before_anything_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = build_project(tmp_path / "p")
    presets = {"*": Preset({"epochs": 1, "optimizer": {"name": "adamw"}}, ())}
    flow = FAMILIES.register(replace(SD1, name="river", title="River", objective="flow", presets=presets))
    monkeypatch.setattr(fields, "family_of", lambda _: flow)
    monkeypatch.setattr(recipes, "preset_family", lambda _: flow)
    try:
        assert read_recipe(project, {"timesteps.shift": "3"}).timesteps.shift == 3
        with pytest.raises(RecipeError, match=r"loss\.min_snr_gamma is for .* predicts a flow.*noise\.offset: "):
            read_recipe(project, {"loss.min_snr_gamma": "5", "noise.offset": "0.1"})
    finally:
        FAMILIES.remove(flow)


def test_presets_of_flows_ask_for_nothing_of_the_kind() -> None:
    assert FAMILIES
    for family in FAMILIES.values():
        for kind in SubjectKind if family.objective == "flow" else ():
            values = preset(kind, family)
            assert not list(prediction_faults(recipe(**values), "flow", family.name)), (family.name, kind)


def test_every_weight_is_a_key_of_the_recipe() -> None:
    assert WEIGHTS
    assert all(hasattr(recipe().loss, name) for name in WEIGHTS)


@pytest.mark.parametrize("shift", ["big", 0, True, -1, 1000])
def test_a_shift_is_a_number_or_the_picture_s_size(shift: object) -> None:
    with pytest.raises(ValueError, match=r'write a number from 0\.01 to 100, or "size"'):
        recipe(timesteps={"shift": shift})


def test_sigmoid_has_no_mean() -> None:
    with pytest.raises(ValueError, match=r"timesteps\.mean is logit_normal's"):
        recipe(timesteps={"sampling": "sigmoid", "mean": 1})
