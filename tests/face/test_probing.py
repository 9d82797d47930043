"""Probing the learning rates before a run: what is tried, what wins, what it costs, and that it is done once."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from lorasmith.cli.main import run
from lorasmith.errors import RecipeError, Stopped, UsageError
from lorasmith.events import Done, Event, Note, StepDone, finish
from lorasmith.face.stages import plan_training, train_project
from lorasmith.project import Project, open_project
from lorasmith.recipe.probe import FACTORS, choose_variant, probe_variants, probed_recipe
from lorasmith.recipe.recipe import parse_recipe, read_recipe
from lorasmith.remedies import Action, Do
from tests.projects import build_project, draw_apart

RECIPE = """
resolution = 64
bucket = { min = 32, max = 128, step = 32 }
batch_size = 2
rank = 2
alpha = 1
target_steps = 8
save_every = "9 epochs"
lr = { unet = 1e-3, text_encoder = 2e-3 }
optimizer.name = "adamw"
"""


def make_project(root: Path, base: Path) -> Project:
    project = build_project(root, RECIPE, base=str(base), sizes=((64, 64),) * 6)
    draw_apart(project.root / "images")
    return project


def test_half_and_double_the_rates_are_tried_on_a_part_of_the_steps(tmp_path: Path, tiny_base_folder: Path) -> None:
    project = make_project(tmp_path / "p", tiny_base_folder)
    recipe = read_recipe(project)
    variants = {each.name: each.recipe for each in probe_variants(project, recipe, 400, {"epochs": "3", "rank": "4"})}
    assert list(variants) == list(FACTORS) == ["half", "preset", "double"]
    assert [each.lr.unet for each in variants.values()] == [5e-4, 1e-3, 2e-3]
    assert [each.lr.text_encoder for each in variants.values()] == [1e-3, 2e-3, 4e-3]
    for each in variants.values():
        assert (each.target_steps, each.epochs, each.rank, each.validation.share) == (100, None, 4, 0.15)
    assert probed_recipe(project, recipe, "double", {"rank": "4"}).lr.unet == 2e-3
    assert probed_recipe(project, recipe, "preset", {"rank": "4"}) == read_recipe(project, {"rank": "4"})
    with pytest.raises(RecipeError, match="finds its rate itself"):
        probe_variants(
            project,
            read_recipe(project, {"optimizer.name": '"prodigy"', "lr.unet": "1", "lr.text_encoder": "1"}),
            8,
            {},
        )


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ({"half": (0.90, 1.0), "preset": (0.80, 1.0), "double": (0.70, 1.0)}, "double"),
        ({"half": (0.70, 1.0), "preset": (0.80, 1.0), "double": (0.90, 1.0)}, "half"),
        ({"half": (0.795, 1.0), "preset": (0.80, 1.0), "double": (0.9, 1.0)}, "preset"),
        ({"half": (0.5, 1.0), "double": (0.4, 1.0)}, "double"),
        ({"half": (0.5, 1.0), "preset": (0.9, 2.0)}, "preset"),
    ],
)
def test_the_lowest_loss_over_the_bases_own_wins(losses: dict[str, tuple[float, float]], best: str) -> None:
    assert choose_variant(losses) == best


def test_a_run_with_a_probe_takes_what_has_won(tmp_path: Path, tiny_base_folder: Path) -> None:
    project = make_project(tmp_path / "p", tiny_base_folder)
    events: list[Event] = []
    done = finish(train_project(project, {"rank": "3"}, probe=True), events.append)
    assert isinstance(done, Done)
    notes = [event.message for event in events if isinstance(event, Note)]
    assert any("3 learning rates, 20 steps each" in note for note in notes)
    (told,) = [note for note in notes if note.startswith("probed:")]
    recipe = parse_recipe((done.run / "recipe.toml").read_text(), where="here")
    assert told.endswith(f"the run takes lr.unet = {recipe.lr.unet:g}.")
    assert recipe.lr.unet in (5e-4, 1e-3, 2e-3)
    assert recipe.lr.text_encoder == pytest.approx(2 * recipe.lr.unet)
    assert (recipe.rank, recipe.target_steps, recipe.validation.share) == (3, 8, 0)
    assert [path.parent.name for path in project.runs.glob("*/recipe.toml")] == [done.run.name], "no run but the one"
    again: list[Event] = []
    finish(train_project(project, {"rank": "3"}, probe=True), again.append)
    assert {event.variant for event in again if isinstance(event, StepDone)} == {""}, "the probe is not done twice"


def test_an_interrupted_probe_goes_on(tmp_path: Path, tiny_base_folder: Path) -> None:
    project = make_project(tmp_path / "p", tiny_base_folder)
    whole = finish(train_project(project, probe=True))
    other = make_project(tmp_path / "q", tiny_base_folder)
    steps: list[StepDone] = []

    def press(event: Event) -> None:
        if isinstance(event, StepDone):
            steps.append(event)
            if len(steps) == 20:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(Stopped) as stopped:
        finish(train_project(other, probe=True), press)
    assert stopped.value.remedy == Do(Action.TRAIN, project=other.root, probe=True)
    assert not list(other.runs.glob("*/recipe.toml"))
    before = len(steps)
    resumed = finish(train_project(other, probe=True), press)
    later = [event.step for event in steps[before:] if event.variant]
    assert min(later) > 5, "it begins where it was stopped"
    assert isinstance(whole, Done)
    assert isinstance(resumed, Done)
    assert resumed.loss == whole.loss


def test_plan_tells_what_it_costs(tmp_path: Path, tiny_base_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make_project(tmp_path / "p", tiny_base_folder)
    planned = finish(plan_training(project, {"target_steps": "200"}, probe=True))
    assert planned.probe is not None
    assert (planned.probe.variants, planned.probe.steps) == (3, 50)
    assert planned.probe.seconds > 0
    assert finish(plan_training(project)).probe is None
    assert run(["plan", str(project.root), "--probe", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["probe"]["steps"] == 20
    assert run(["plan", str(project.root), "--probe"]) == 0
    assert "more: 3 learning rates, 20 steps each" in capsys.readouterr().out


def test_a_sweep_is_not_probed(tmp_path: Path, tiny_base_folder: Path) -> None:
    project = make_project(tmp_path / "p", tiny_base_folder)
    file = project.root / "lora.toml"
    file.write_text(file.read_text() + "\n[sweep]\nrank = [1, 2]\n")
    with pytest.raises(UsageError, match="for a run by itself"):
        finish(train_project(open_project(project.root), probe=True))
