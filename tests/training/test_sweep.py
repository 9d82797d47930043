"""A sweep against runs one by one: what each variant becomes, what it leaves, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lorasmith.adapters.files import load_adapter, read_header
from lorasmith.bases.base import Base
from lorasmith.errors import RecipeError, TrainingError
from lorasmith.events import Event, StepDone, SweepDone, finish
from lorasmith.project import Project, open_project
from lorasmith.recipe.sweep import read_sweep
from lorasmith.training.loop import train, train_sweep
from lorasmith.training.steps.trainer import Trainer
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket = { min = 32, max = 128, step = 32 }
batch_size = 1
rank = 2
alpha = 1
epochs = 2
save_every = "9 epochs"
lr = { unet = 1e-3, text_encoder = 1e-3 }
optimizer.name = "adamw"
"""


def sweep_project(root: Path, base: Path, sweep: str, recipe: str = RECIPE) -> Project:
    build_project(root, recipe, base=str(base))
    file = root / "lora.toml"
    file.write_text(file.read_text() + f"\n[sweep]\n{sweep}\n")
    return open_project(root)


def run_sweep(project: Project, base: Base, **more: Any) -> tuple[SweepDone, list[Event]]:
    events: list[Event] = []
    return finish(train_sweep(project, read_sweep(project), base=base, **more), events.append), events


def assert_close(one: Path, other: Path, base: Base) -> None:
    first, second = load_adapter(one), load_adapter(other)
    assert first.layers.keys() == second.layers.keys()
    moved = 0.0
    for name, factors in first.layers.items():
        for field, tensor in factors.trained().items():
            torch.testing.assert_close(tensor, second.layers[name].trained()[field], rtol=2e-2, atol=2e-5)
        moved = max(moved, float(factors.delta_weight(base.module(name).weight).abs().max()))  # type: ignore[arg-type]
    assert moved > 1e-6, "nothing was learnt that could differ"


@pytest.mark.parametrize(
    ("sweep", "recipe", "count"),
    [
        ('mode = "zip"\nrank = [2, 3, 2, 4]\nseed = [1, 1, 1, 1]\nlr.unet = [1e-3, 1e-3, 3e-3, 1e-3]', RECIPE, 4),
        ("seed = [1, 2]", RECIPE + 'preserve.kind = "differential"\naccumulate = 2\n', 2),
        ('algorithm = ["lora", "dylora", "loha"]\nconv.rank = [2]', RECIPE, 3),
    ],
    ids=["ranks and rates", "seeds", "algorithms"],
)
def test_each_variant_becomes_what_it_would_alone(
    tmp_path: Path, tiny_base_folder: Path, tiny_base: Base, sweep: str, recipe: str, count: int
) -> None:
    project = sweep_project(tmp_path / "p", tiny_base_folder, sweep, recipe)
    variants = read_sweep(project)
    assert len(variants) == count
    done, events = run_sweep(project, tiny_base)
    assert events[-1] == done
    assert list(done.variants) == [variant.name for variant in variants]
    assert {event.variant for event in events if isinstance(event, StepDone)} == set(done.variants)
    for variant in variants:
        solo = finish(train(project, variant.recipe, base=tiny_base))
        made = done.variants[variant.name]
        assert_close(Path(made["adapter"]), solo.adapter, tiny_base)
        assert made["loss"] == pytest.approx(solo.loss, rel=1e-3)
        header = read_header(Path(made["adapter"])).metadata
        assert header["ss_network_dim"] == str(variant.recipe.rank)
        assert header["ss_unet_lr"] == str(variant.recipe.lr.unet)
        assert header["ss_output_name"] == f"zbk-{variant.name}"


def test_an_interruption_does_not_show(tmp_path: Path, tiny_base_folder: Path, tiny_base: Base) -> None:
    project = sweep_project(tmp_path / "p", tiny_base_folder, "rank = [1, 2]\nepochs = [1, 2]")
    whole, _ = run_sweep(project, tiny_base)
    work = train_sweep(project, read_sweep(project), base=tiny_base)
    for event in work:
        if isinstance(event, StepDone) and event.step == 4:
            break
    work.close()
    resumed, later = run_sweep(project, tiny_base, resume=True)
    assert resumed.run != whole.run
    assert next(event.step for event in later if isinstance(event, StepDone)) > 3
    assert len(resumed.variants) == 4
    for name, made in resumed.variants.items():
        first, second = load_adapter(made["adapter"]), load_adapter(whole.variants[name]["adapter"])
        for layer, factors in first.layers.items():
            for field, tensor in factors.trained().items():
                assert torch.equal(tensor, second.layers[layer].trained()[field])
        log = Path(made["run"], "events.jsonl").read_text().splitlines()
        steps = [event["step"] for event in map(json.loads, log) if event["event"] == "step"]
        assert steps == list(range(1, len(steps) + 1))
    again, events = run_sweep(project, tiny_base, resume=True)
    assert again == resumed
    assert not [event for event in events if isinstance(event, StepDone)]


def test_one_that_explodes_is_left_behind(
    tmp_path: Path, tiny_base_folder: Path, tiny_base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = sweep_project(tmp_path / "p", tiny_base_folder, "rank = [1, 2]")
    check = Trainer._check

    def poisoned(trainer: Trainer, loss: float, norm: float) -> None:
        check(trainer, float("nan") if trainer._settings.network.rank == 2 and trainer.step == 1 else loss, norm)

    monkeypatch.setattr(Trainer, "_check", poisoned)
    done, _ = run_sweep(project, tiny_base)
    assert list(done.variants) == ["rank1"]
    assert "no longer a number" in done.failed["rank2"]
    monkeypatch.setattr(Trainer, "_check", lambda trainer, _, norm: check(trainer, float("nan"), norm))
    with pytest.raises(TrainingError, match="every variant has failed"):
        run_sweep(project, tiny_base)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("rnak = [1]", "unknown key.*rank"),
        ("rank = 4", "give a list"),
        ('mode = "random"\nrank = [1]', 'write "grid" or "zip"'),
        ('mode = "zip"\nrank = [1, 2]\nseed = [1]', "lists of one length: rank has 2, seed has 1"),
        ("clip_skip = [1, 2]", "cannot differ within a sweep"),
        ("rank = [4, 4]", "stands there twice"),
        ("seed = [1, 2, 3, 4, 5, 6, 7, 8, 9]\nrank = [1, 2, 3, 4, 5, 6, 7, 8]", "more than 64 variants"),
        ('mode = "grid"', "names no key"),
    ],
)
def test_what_is_no_sweep_is_refused(tmp_path: Path, sweep: str, message: str) -> None:
    project = sweep_project(tmp_path / "p", tmp_path, sweep)
    with pytest.raises(RecipeError, match=message):
        read_sweep(project)


def test_names_tell_what_differs(tmp_path: Path) -> None:
    project = sweep_project(tmp_path / "p", tmp_path, "lr.unet = [1e-4, 5e-4]\nseed = [7]\nlayers = [['attention']]")
    assert [variant.name for variant in read_sweep(project)] == [
        "unet0.0001-seed7-layers_attention",
        "unet0.0005-seed7-layers_attention",
    ]
    words = sweep_project(tmp_path / "w", tmp_path, 'algorithm = ["lora", "loha"]\nrank = [4]')
    assert [variant.name for variant in read_sweep(words)] == ["lora-rank4", "loha-rank4"]
    signs = sweep_project(tmp_path / "s", tmp_path, 'caption.keep_separator = ["", "b c"]')
    assert all(variant.name.startswith("keep_separator") for variant in read_sweep(signs)), "no name is empty"
    assert read_sweep(build_project(tmp_path / "q", RECIPE)) == []
