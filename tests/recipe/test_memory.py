"""What a run holds in memory: the plan's formula beside counts at true size, and the switches that make a run fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.memory_counts import count, shares

from lorasmith.adapters.container import serialise
from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.families import find_family
from lorasmith.recipe.memory import Memory, fits, how_it_fits, memory_of, nearest_switches
from lorasmith.recipe.recipe import Recipe, read_recipe
from lorasmith.storage.files import write_file
from tests.families.roads import build_project, command, told
from tests.projects import build_project as plain_project

GB = 2**30
PIXELS = 1024 * 1024


def recipe_on(family: str, **values: Any) -> Recipe:
    """A recipe for the family's public model."""
    plain = {"epochs": 1, "precision": "bf16", "batch_size": 1, "lr": {"unet": 1e-4, "text_encoder": 0}}
    recipe = Recipe.model_validate({**plain, "preserve": {"kind": "none"}, **values})
    recipe.__dict__["cost"] = find_family(family).cost
    return recipe


def memory(family: str, **values: Any) -> Memory:
    return memory_of(recipe_on(family, **values), PIXELS)


@pytest.mark.parametrize("family", ["sd1", "sdxl", "anima", "klein"])
def test_the_formula_is_within_five_percent_of_what_is_counted(family: str) -> None:
    """On the meta device in the public models' shapes; 768 is no side that the formula was made from."""
    for what, share in shares(family, count(family, (768, 1024))).items():
        assert 0.95 < share < 1.05, what


def test_what_each_switch_saves() -> None:
    plain, again = memory("anima"), memory("anima", checkpointing=True)
    assert plain.activations > 10 * again.activations
    assert (plain.denoiser, plain.host) == (again.denoiser, 0)
    swapped = memory("anima", checkpointing=True, blocks_to_swap=16)
    # 14 of 28 blocks are elsewhere: two of the 16 are there.
    assert swapped.denoiser + swapped.host == again.denoiser
    assert swapped.host == pytest.approx(2 * 1937.8e6 / 2, rel=0.01)
    assert memory("anima", checkpointing=True, blocks_to_swap=2).host == 0
    small = memory("anima", checkpointing=True, blocks_to_swap=16, weights="int8")
    assert small.host == pytest.approx(swapped.host / 2, rel=0.01)
    assert small.denoiser < 0.6 * swapped.denoiser
    assert small.text < 0.65 * swapped.text
    full = memory("anima", precision="fp32")
    assert full.denoiser == 2 * plain.denoiser
    assert full.activations == pytest.approx(2 * plain.activations, abs=2)
    two = memory("anima", batch_size=2)
    assert two.activations == pytest.approx(2 * plain.activations, abs=2)
    more = memory("anima", rank=32)
    assert more.optimizer == 2 * plain.optimizer
    assert more.gradients == 2 * plain.gradients
    assert plain.total == sum(value for name, value in plain.as_json().items() if name != "host")


def test_text_encoders_that_go_away_count_until_they_have_read() -> None:
    kept = memory("zimage", checkpointing=True, caption={"shuffle": False}, cache_text_encoder_outputs=False)
    away = memory("zimage", checkpointing=True, caption={"shuffle": False})
    assert kept.text == pytest.approx(8.04e9, rel=0.01)
    assert (away.text, away.host) == (0, kept.text)
    assert away.reading == pytest.approx(kept.text + kept.vae, abs=2)
    assert kept.total - away.total == kept.text, "learning takes more than reading"
    # Reading is the larger phase once the denoiser is small: the plan is the larger of the two.
    swapped = memory("zimage", checkpointing=True, caption={"shuffle": False}, blocks_to_swap=34, weights="int8")
    assert swapped.total == max(swapped.reading, sum(swapped.as_json().values()) - swapped.host - swapped.reading)
    drawn = memory("zimage", checkpointing=True, caption={"shuffle": False}, sample={"prompts": ["a"]})
    assert drawn.reading == away.reading, "their texts are read with the others"
    prior = memory("zimage", checkpointing=True, caption={"shuffle": False}, preserve={"kind": "prior"})
    assert prior.reading == pytest.approx(away.reading + away.denoiser, abs=4)
    shuffled = memory("zimage", checkpointing=True)
    assert (shuffled.text, shuffled.reading) == (kept.text, 0)


def test_a_training_adapter_lies_beside_the_base(tmp_path: Path) -> None:
    """Of a file beside the project, by its header: four bytes for each of its numbers, without gradients."""
    write_file(tmp_path / "helper.safetensors", serialise({"a.lora_down.weight": torch.zeros(4, 1000)}, {}))
    project = plain_project(tmp_path, 'training_adapter = "helper.safetensors"\nepochs = 1')
    alone = memory_of(read_recipe(project, {"training_adapter": '""'}), PIXELS)
    beside = memory_of(read_recipe(project), PIXELS)
    assert beside.adapter == alone.adapter + 4 * 4000
    assert (beside.gradients, beside.optimizer) == (alone.gradients, alone.optimizer)
    assert beside.total == alone.total + 4 * 4000
    gone = memory_of(read_recipe(project, {"training_adapter": '"nowhere.safetensors"'}), PIXELS)
    assert gone == alone, "what is not there is told by whoever needs it"


def test_the_nearest_switch() -> None:
    roomy = recipe_on("sdxl")
    assert nearest_switches(roomy, PIXELS, 24 * GB) == {}
    assert nearest_switches(roomy, PIXELS, 12 * GB) == {"checkpointing": True}
    assert nearest_switches(recipe_on("sdxl"), PIXELS, GB) is None
    tight = nearest_switches(recipe_on("anima", precision="auto", batch_size=2), PIXELS, 6 * GB)
    assert tight is not None
    assert list(tight) == ["precision", "checkpointing", "blocks_to_swap"]
    # The fewest blocks: one less does not fit.
    made = recipe_on("anima", batch_size=2, checkpointing=True, blocks_to_swap=tight["blocks_to_swap"])
    assert fits(made, PIXELS, 6 * GB)
    assert not fits(made.model_copy(update={"blocks_to_swap": tight["blocks_to_swap"] - 1}), PIXELS, 6 * GB)


def test_a_card_that_is_not_known() -> None:
    assert how_it_fits(recipe_on("sd1"), PIXELS, None) is None
    fit = how_it_fits(recipe_on("sd1", checkpointing=True), PIXELS, 8 * GB)
    assert fit is not None
    assert fit.as_json() == {"card": 8 * GB, "fits": True, "switches": {}}


def test_the_command_tells_what_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = build_project(tmp_path / "p", doodle_folder())
    told_of = told(capsys, "plan", project.root, "--memory", "8", "--set", "resolution=128")
    assert told_of["card"] == {"card": 8 * GB, "fits": True, "switches": {}}
    parts = told_of["memory"]
    assert sum(value for name, value in parts.items() if name != "host") == told_of["bytes"]
    command("plan", project.root, "--memory", "4")
    words = " ".join(capsys.readouterr().out.split())
    assert "more than a card of 4 GB has; it fits with precision = " in words
