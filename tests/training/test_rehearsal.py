"""A rehearsal: it takes real steps of the recipe, and its figure is per unit of work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.bases.base import Base
from lorasmith.events import finish
from lorasmith.recipe.estimates import work_per_step
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.inputs.reading import read_inputs
from lorasmith.training.rehearsal import rehearse
from lorasmith.training.unpacking import unpack
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket = { min = 32, max = 128, step = 32 }
batch_size = 3
rank = 2
alpha = 1
clip_skip = 1
epochs = 1
optimizer.name = "adamw"
preserve.share = 0.5
"""


@pytest.mark.parametrize("kind", ["none", "differential", "prior", "images"])
def test_the_mean_step_by_its_work(kind: str, tmp_path: Path, tiny_base_folder: Path, tiny_base: Base) -> None:
    """With a clock of its own: steps of 100 (the first), 1, 2, 9 seconds."""
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))
    drawable = {"bucket.min": "64"} if kind == "prior" else {}  # the base draws no narrower pictures
    recipe = read_recipe(project, {"preserve.kind": f'"{kind}"', **drawable})
    (inputs,) = finish(read_inputs(project, [recipe]))
    ticks = iter([0.0, 100.0, 100.0, 101.0, 101.0, 103.0, 103.0, 112.0])
    before = tiny_base.denoiser.state_dict()
    was = {name: tensor.clone() for name, tensor in before.items()}
    passes: list[int] = []
    handle = tiny_base.denoiser.register_forward_pre_hook(lambda _, values: passes.append(len(values[0])))
    try:
        pace = rehearse(
            unpack(recipe),
            inputs.plan,
            tiny_base,
            project.root,
            seconds=112.0,
            most_seconds=200.0,
            clock=lambda: next(ticks),
        )
    finally:
        handle.remove()
    assert pace == pytest.approx(4.0 / work_per_step(recipe, 3, 64 * 64))
    own = {"none": [3], "images": [5], "differential": [2, 5], "prior": [2, 5]}[kind]
    assert passes == own * 4
    assert all(torch.equal(was[name], tensor) for name, tensor in tiny_base.denoiser.state_dict().items())
    assert not (project.cache / "latents").exists()


def test_a_rehearsal_of_long_steps_ends_after_the_first(
    tmp_path: Path, tiny_base_folder: Path, tiny_base: Base
) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))
    recipe = read_recipe(project, {"preserve.kind": '"none"'})
    (inputs,) = finish(read_inputs(project, [recipe]))
    ticks = iter([0.0, 60.0])
    pace = rehearse(unpack(recipe), inputs.plan, tiny_base, project.root, clock=lambda: next(ticks))
    assert pace == pytest.approx(60.0 / work_per_step(recipe, 3, 64 * 64))
