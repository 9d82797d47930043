"""kohya's words for a flow's times, both ways and in headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomlkit

from lorasmith.recipe.exchange.kohya.header import from_header, recipe_facts
from lorasmith.recipe.exchange.kohya.reading import from_arguments
from lorasmith.recipe.exchange.kohya.writing import to_kohya
from lorasmith.recipe.recipe import Recipe
from tests.recipe.exchange.bases import told_base

FROZEN = {"unet": 1e-4, "text_encoder": 0.0}
SAID: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (
        {"timestep_sampling": "sigmoid", "sigmoid_scale": 1.5, "discrete_flow_shift": 1.0, "weighting_scheme": "none"},
        {"sampling": "sigmoid", "std": 1.5},
    ),
    (
        {"timestep_sampling": "shift", "sigmoid_scale": 1.0, "discrete_flow_shift": 3.0, "weighting_scheme": "none"},
        {"sampling": "sigmoid", "std": 1.0, "shift": 3.0},
    ),
    (
        {"timestep_sampling": "flux_shift", "sigmoid_scale": 1.0, "weighting_scheme": "none"},
        {"sampling": "sigmoid", "std": 1.0, "shift": "size"},
    ),
    (
        {
            "timestep_sampling": "sigma", "discrete_flow_shift": 2.0, "weighting_scheme": "logit_normal",
            "logit_mean": 0.5, "logit_std": 0.8,
        },
        {"sampling": "logit_normal", "mean": 0.5, "std": 0.8, "shift": 2.0},
    ),
    (
        {"timestep_sampling": "sigma", "discrete_flow_shift": 2.0, "weighting_scheme": "none"},
        {"sampling": "uniform", "shift": 2.0},
    ),
)  # fmt: skip


@pytest.mark.parametrize(("said", "ours"), SAID)
def test_both_ways(said: dict[str, Any], ours: dict[str, Any]) -> None:
    read = from_arguments({"learning_rate": 1e-4, **said}, "x")
    assert {key: value for key, value in read.values["timesteps"].items() if key in ours} == ours
    assert not read.left_out
    recipe = Recipe.model_validate({"target_steps": 10, "timesteps": ours})
    text, left = to_kohya(recipe, name="x")
    written = tomlkit.parse(text).unwrap()
    assert {key: written[key] for key in said} == said
    assert not [each for each in left if each.key.startswith("timesteps")]
    facts = recipe_facts(recipe)
    assert {key: facts[f"ss_{key}"] for key in said} == said
    told = {key: str(value) for key, value in facts.items() if value is not None} | {"ss_network_dim": "4"}
    back = from_header(told, "a").values["timesteps"]
    assert {key: value for key, value in back.items() if key in ours} == ours


def test_what_has_no_counterpart_is_listed() -> None:
    read = from_arguments({"timestep_sampling": "sigmoid", "weighting_scheme": "cosmap", "discrete_flow_shift": 3}, "x")
    assert [(each.key, each.value) for each in read.left_out] == [("weighting_scheme", "cosmap")]
    assert "discrete_flow_shift: kohya's sigmoid does not shift." in read.notes
    assert from_arguments({"timestep_sampling": "mode"}, "x").left_out[0].key == "timestep_sampling"


def test_recipes_of_other_bases_say_nothing_of_it() -> None:
    recipe = Recipe.model_validate({"target_steps": 10})
    assert "timestep_sampling" not in to_kohya(recipe, name="x")[0]
    assert recipe_facts(recipe)["ss_timestep_sampling"] is None
    assert not {"sampling", "shift"} & from_arguments({"learning_rate": 1e-4}, "x").values["timesteps"].keys()


def test_on_a_flow_all_is_said_for_kohya_draws_sigmoid_otherwise(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"target_steps": 10, "base": told_base(tmp_path, "anima"), "lr": FROZEN})
    assert (recipe.family.name, recipe.timesteps.sampling) == ("anima", "uniform")
    text, left = to_kohya(recipe, name="x")
    written = tomlkit.parse(text).unwrap()
    assert (written["timestep_sampling"], written["weighting_scheme"]) == ("uniform", "none")
    assert "discrete_flow_shift" not in written  # uniform knows none
    assert recipe_facts(recipe)["ss_timestep_sampling"] == "uniform"
    back = from_arguments(written, "x")
    assert (back.values["timesteps"]["sampling"], back.left_out, left) == ("uniform", [], [])


@pytest.mark.parametrize("marks", [{"network_module": "networks.lora_anima"}, {"qwen3": "qwen_3_06b_base.safetensors"}])
def test_anima_without_a_word_about_times_is_sigmoid(marks: dict[str, Any]) -> None:
    read = from_arguments({"learning_rate": 1e-4, "attn_mode": "torch", **marks}, "x")
    assert read.values["timesteps"]["sampling"] == "sigmoid"
    assert (read.values["algorithm"], read.values["lr"]["text_encoder"], read.left_out) == ("lora", 0.0, [])


@pytest.mark.parametrize(("family", "learns"), [("anima", False), ("anima", True), ("zimage", False), ("klein", False)])
def test_flows_have_a_network_module_of_their_own(family: str, learns: bool, tmp_path: Path) -> None:
    rates = {"unet": 1e-4, "text_encoder": 0.0, "text_encoder_2": 1e-4 if learns else 0.0}
    recipe = Recipe.model_validate({"target_steps": 10, "base": told_base(tmp_path, family), "lr": rates})
    text, left = to_kohya(recipe, name="x")
    written = tomlkit.parse(text).unwrap()
    assert written["network_module"] == f"networks.lora_{'flux_2' if family == 'klein' else family}"
    assert ("train_llm_adapter=True" in written.get("network_args", [])) == learns
    assert [each.key for each in left] == ["base"] * (family != "anima")
    back = from_arguments(written, "x")
    assert (back.values["algorithm"], back.values["lr"].get("text_encoder_2", 0.0)) == ("lora", rates["text_encoder_2"])
    assert not back.left_out


def test_a_text_encoder_that_learns_is_nothing_for_kohya_s_anima(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"target_steps": 10, "base": told_base(tmp_path, "anima")})
    assert "lr.text_encoder" in {each.key for each in to_kohya(recipe, name="x")[1]}
