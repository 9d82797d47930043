"""What an extension costs: an algorithm and an optimizer, registered by a line each, go all the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.files import load_adapter, read_header
from lorasmith.adapters.surgery.merging import merge, to_lora
from lorasmith.adapters.surgery.products import Cut
from lorasmith.bases.base import Base
from lorasmith.dataset.reading import read_dataset
from lorasmith.errors import RecipeError
from lorasmith.events import StepDone, finish
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.project import Project
from lorasmith.recipe.estimates import adapter_parameters, work_per_step
from lorasmith.recipe.exchange.hub import to_hub
from lorasmith.recipe.exchange.kohya.writing import to_kohya
from lorasmith.recipe.memory import estimate_memory
from lorasmith.recipe.plan import make_plan
from lorasmith.recipe.recipe import parse_recipe, read_recipe, recipe_values, write_recipe
from lorasmith.recipe.reference import recipe_keys
from lorasmith.training.loop import train
from tests.adapters.toy_algorithm import TOY, ToyFactors
from tests.optimizers.toy_optimizer import HEAVY_BALL
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket.enabled = false
batch_size = 1
rank = 2
alpha = 1
clip_skip = 1
epochs = 1
layers = ["attention"]
save_every = "9 epochs"
optimizer.name = "adamw"
"""
CHOSEN = {"algorithm": "toy", "toy.reach": "0.5", "optimizer.name": "heavy_ball", "optimizer.momentum": "0.5"}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    ALGORITHMS.register(TOY)
    OPTIMIZERS.register(HEAVY_BALL)
    yield
    OPTIMIZERS.remove(HEAVY_BALL)
    ALGORITHMS.remove(TOY)


@pytest.fixture
def project(tmp_path: Path, tiny_base_folder: Path) -> Project:
    return build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))


def test_a_recipe_knows_their_options_and_rules(project: Project) -> None:
    recipe = read_recipe(project, CHOSEN)
    values = recipe_values(recipe)
    assert values["toy"] == {"reach": 0.5}
    assert values["optimizer"]["momentum"] == 0.5
    assert values["lr"]["unet"] == 0.05, "what the optimizer calls for"
    assert parse_recipe(write_recipe(recipe), where="it") == recipe
    told = {key.path: key.meaning for key in recipe_keys()}
    assert told["toy.reach"] == "size of the first numbers"
    assert told["optimizer.momentum"] == "heavy_ball alone: what it keeps per step"
    assert "toy" in told["dora"]
    assert "heavy_ball (rolls on)" in told["optimizer.name"]
    for wrong, message in (
        ({"toy.raech": "1"}, r'toy.raech = 1: unknown key. Did you mean "reach"\?'),
        ({"toy.reach": "0"}, r"toy.reach = 0: must be greater than 0"),
        ({"dropout.network": "0.5"}, "dropout.network: for plain lora only"),
        ({"optimizer.name": "lion"}, "optimizer.momentum is heavy_ball's, not lion's"),
        ({"optimizer.betas": "[0.9, 0.9]"}, "optimizer.betas: heavy_ball has none"),
        ({"algorithm": "tooy"}, r'unknown algorithm. Did you mean "toy"\?'),
    ):
        with pytest.raises(RecipeError, match=message):
            read_recipe(project, CHOSEN | wrong)


def test_they_are_planned(project: Project) -> None:
    plain, toy = read_recipe(project), read_recipe(project, CHOSEN)
    assert adapter_parameters(toy) == 3 * adapter_parameters(plain)
    assert work_per_step(toy, 1, 64 * 64) > 1.3 * work_per_step(plain, 1, 64 * 64)
    assert estimate_memory(toy, 64 * 64) - estimate_memory(plain, 64 * 64) > 900 * adapter_parameters(plain)
    dataset = finish(read_dataset(project))
    assert make_plan(toy, dataset).seconds > make_plan(plain, dataset).seconds


def test_other_trainers_are_told_what_they_cannot_do(project: Project) -> None:
    recipe = read_recipe(project, CHOSEN)
    text, lost = to_kohya(recipe, name="zbk")
    assert {"algorithm", "optimizer.name"} <= {each.key for each in lost}
    assert 'network_module = "networks.lora"' in text
    assert 'optimizer_type = "AdamW"' in text
    document, lost = to_hub(recipe, repeats=1, steps=3)
    assert {"algorithm", "optimizer.name"} <= {each.key for each in lost}
    assert (document["loraType"], document["optimizerType"]) == ("lora", "AdamW8Bit")


def test_they_train_save_reload_and_merge(project: Project, tiny_base: Base) -> None:
    recipe = read_recipe(project, CHOSEN)
    steps: list[Any] = []
    done = finish(train(project, recipe, base=tiny_base), steps.append)
    losses = [event.loss for event in steps if isinstance(event, StepDone)]
    assert len(losses) == 3
    assert torch.tensor(losses).isfinite().all()

    adapter = load_adapter(done.adapter)
    assert {type(factors) for factors in adapter.layers.values()} == {ToyFactors}
    assert any(bool(cast(ToyFactors, factors).left.any()) for factors in adapter.layers.values())
    header = read_header(done.adapter).metadata
    assert header["ss_network_module"] == "lorasmith.toy"
    assert header["ss_optimizer"] == "toy.HeavyBall(momentum=0.5)"

    whole = to_lora(adapter)
    assert whole.error < 1e-5
    for name, factors in adapter.layers.items():
        weight = cast(nn.Linear, tiny_base.module(name)).weight
        lora = whole.adapter.layers[name].delta_weight(weight)
        torch.testing.assert_close(lora, factors.delta_weight(weight), rtol=1e-4, atol=1e-6)
    assert to_lora(adapter, Cut(rank=1)).adapter.rank == 1
    assert merge([adapter, whole.adapter], [0.5, 0.5]).adapter.layers.keys() == adapter.layers.keys()


def test_an_interruption_does_not_show(project: Project, tiny_base: Base) -> None:
    recipe = read_recipe(project, CHOSEN)
    done = finish(train(project, recipe, base=tiny_base))
    work = train(project, recipe, base=tiny_base)
    for event in work:
        if isinstance(event, StepDone) and event.step == 2:
            break
    work.close()
    resumed = finish(train(project, recipe, base=tiny_base, resume=True))
    one, two = load_adapter(done.adapter), load_adapter(resumed.adapter)
    for layer, factors in one.layers.items():
        for suffix, tensor in factors.to_tensors().items():
            assert torch.equal(two.layers[layer].to_tensors()[suffix], tensor), (layer, suffix)
