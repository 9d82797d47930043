"""Every algorithm that a recipe can name trains through the loop, and an interruption does not show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lorasmith.adapters.files import load_adapter, read_header
from lorasmith.bases.base import Base
from lorasmith.errors import RecipeError
from lorasmith.events import StepDone, finish
from lorasmith.project import Project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train
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
lr = { unet = 1e-2, text_encoder = 1e-2 }
optimizer.name = "adamw"
"""
VARIANTS: dict[str, tuple[dict[str, str], str]] = {
    "locon-tucker": ({"conv.rank": "2", "conv.tucker": "true"}, "tucker"),
    "rslora-norms": ({"rank_stabilised": "true", "norms": "true"}, "norm"),
    "dora": ({"dora": "true"}, "dora"),
    "loha": ({"algorithm": '"loha"', "conv.rank": "2"}, "loha"),
    "lokr": ({"algorithm": '"lokr"', "lokr.factor": "4"}, "lokr"),
    "dylora": ({"algorithm": '"dylora"', "dylora_block": "1"}, "lora"),
    "ia3": ({"algorithm": '"ia3"'}, "ia3"),
}


@pytest.fixture
def project(tmp_path: Path, tiny_base_folder: Path) -> Project:
    return build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))


@pytest.mark.parametrize("name", VARIANTS)
def test_three_steps_and_a_stop_that_does_not_show(project: Project, tiny_base: Base, name: str) -> None:
    overrides, algorithm = VARIANTS[name]
    recipe = read_recipe(project, overrides)
    steps: list[Any] = []
    done = finish(train(project, recipe, base=tiny_base), steps.append)
    losses = [event.loss for event in steps if isinstance(event, StepDone)]
    assert len(losses) == 3
    assert torch.tensor(losses).isfinite().all()
    adapter = load_adapter(done.adapter)
    assert algorithm in {factors.algorithm for factors in adapter.layers.values()}
    moved = [factors.delta_weight(tiny_base.module(layer).weight) for layer, factors in adapter.layers.items()]  # type: ignore[arg-type]
    share = sum(float(delta.abs().max()) > 0 for delta in moved) / len(moved)
    assert share > 0.9, f"{share:.0%} of the layers have learnt something"
    told = read_header(done.adapter).metadata["ss_network_module"]
    assert told == {"dylora": "networks.dylora"}.get(name, told if algorithm == "norm" else "lycoris.kohya")

    work = train(project, recipe, base=tiny_base)
    for event in work:
        if isinstance(event, StepDone) and event.step == 2:
            break
    work.close()
    resumed = finish(train(project, recipe, base=tiny_base, resume=True), steps.append)
    assert resumed.run != done.run
    again = load_adapter(resumed.adapter)
    for layer, factors in adapter.layers.items():
        for suffix, tensor in factors.to_tensors().items():
            assert torch.equal(again.layers[layer].to_tensors()[suffix], tensor), (layer, suffix)


def test_what_does_not_go_together_is_refused(project: Project) -> None:
    with pytest.raises(RecipeError, match=r"dora goes with.*conv\.tucker needs"):
        read_recipe(project, {"algorithm": '"ia3"', "dora": "true", "conv.tucker": "true"})
