"""Going on with a run: which one, by which recipe, and by one process alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lorasmith.bases.base import Base
from lorasmith.errors import RecipeError, TrainingError
from lorasmith.events import Done, Event, Note, StepDone, finish
from lorasmith.face.stages import train_project
from lorasmith.project import Project, open_project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.recipe.sweep import read_sweep
from lorasmith.training.loop import train, train_sweep
from lorasmith.training.runs.resuming import find_runs, own_variants
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket.enabled = false
batch_size = 2
rank = 2
alpha = 1
layers = ["attention"]
epochs = 2
save_every = "9 epochs"
lr = { unet = 1e-3, text_encoder = 0 }
optimizer.name = "adamw"
"""
SET = {"rank": "3", "lr.unet": "2e-3", "epochs": "3"}


@pytest.fixture
def project(tmp_path: Path, tiny_base_folder: Path) -> Project:
    return build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))


def stop_after_a_step(
    project: Project, base: Base, settings: Mapping[str, str] | None = None, run: Path | None = None
) -> None:
    work = train(project, read_recipe(project, settings), base=base, run=run)
    for event in work:
        if isinstance(event, StepDone):
            break
    work.close()


def test_a_run_goes_on_by_its_own_recipe(project: Project, tiny_base: Base) -> None:
    whole = finish(train(project, read_recipe(project, SET), base=tiny_base))
    stop_after_a_step(project, tiny_base, SET)
    events: list[Event] = []
    done = finish(train_project(project, resume=True), events.append)
    assert isinstance(done, Done)
    assert done.run != whole.run
    one, other = load_file(whole.adapter), load_file(done.adapter)
    assert one.keys() == other.keys()
    assert all(bool((one[key] == other[key]).all()) for key in one)
    (note,) = [event.message for event in events if isinstance(event, Note) and "its own recipe" in event.message]
    for change in ("rank (3, now 2)", "lr.unet (0.002, now 0.001)", "epochs (3, now 2)"):
        assert change in note


def test_what_is_given_must_agree(project: Project, tiny_base: Base) -> None:
    stop_after_a_step(project, tiny_base, SET)
    with pytest.raises(RecipeError, match=r"another recipe: rank \(3, now 4\)\."):
        finish(train_project(project, {"rank": "4", "epochs": "3"}, resume=True))
    with pytest.raises(RecipeError, match=r"rnak.*unknown key.*rank"):
        finish(train_project(project, {"rnak": "4"}, resume=True))
    events: list[Event] = []
    finish(train_project(project, SET, resume=True), events.append)
    assert not [event for event in events if isinstance(event, Note) and "its own recipe" in event.message]


def test_the_run_that_was_started_last_goes_on_whatever_it_is_called(project: Project, tiny_base: Base) -> None:
    stop_after_a_step(project, tiny_base, run=project.runs / "z")
    stop_after_a_step(project, tiny_base, run=project.runs / "a")
    runs = find_runs(project)
    assert runs is not None
    assert runs.path == project.runs / "a"
    assert finish(train_project(project, resume=True)).run == project.runs / "a"
    assert finish(train_project(project, resume=True, run=project.runs / "z")).run == project.runs / "z"
    assert find_runs(project, project.runs / "none") is None
    assert find_runs(project, sweep=True) is None


def test_a_sweep_goes_on_by_its_own_recipes(project: Project, tiny_base: Base) -> None:
    stop_after_a_step(project, tiny_base)
    text = project.file.read_text()
    project.file.write_text(text + "\n[sweep]\nrank = [1, 2]\n")
    sweeping = open_project(project.root)
    work = train_sweep(sweeping, read_sweep(sweeping, {"epochs": "1"}), base=tiny_base)
    for event in work:
        if isinstance(event, StepDone):
            break
    work.close()
    project.file.write_text(text)
    runs = find_runs(project)
    assert runs is not None
    assert runs.is_sweep
    assert [variant.recipe.rank for variant in own_variants(project, runs, {"epochs": "1"})] == [1, 2]
    with pytest.raises(RecipeError, match=r"epochs \(1, now 2\)"):
        own_variants(project, runs, {"epochs": "2"})
    done = finish(train_project(project, resume=True))
    assert done.run == runs.path
    assert set(json.loads((runs.path / "done.json").read_text())["variants"]) == {"rank1", "rank2"}
    alone = find_runs(project, sweep=False)
    assert alone is not None
    assert not alone.is_sweep


def test_a_second_writer_is_refused_and_told_the_first(project: Project, tiny_base: Base) -> None:
    stop_after_a_step(project, tiny_base)
    first = train(project, read_recipe(project), base=tiny_base, resume=True)
    for event in first:
        if isinstance(event, StepDone):
            break
    runs = find_runs(project)
    assert runs is not None
    log = (runs.path / "events.jsonl").read_bytes()
    with pytest.raises(TrainingError, match=rf"process {os.getpid()} trains this run already"):
        finish(train_project(project, resume=True))
    command = [sys.executable, "-m", "lorasmith.cli.main", "train", str(project.root), "--resume", "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    second = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert second.returncode == 9
    assert f"process {os.getpid()} trains this run already" in second.stderr
    assert (runs.path / "events.jsonl").read_bytes() == log
    first.close()
    assert finish(train_project(project, resume=True)).run == runs.path


KILLED = """
import os, sys
from lorasmith.events import StepDone
from lorasmith.project import open_project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train
project = open_project(sys.argv[1])
for event in train(project, read_recipe(project)):
    if isinstance(event, StepDone):
        os.kill(os.getpid(), 9)
"""


def test_the_lock_dies_with_its_holder(project: Project) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(project.root)], check=False, env=environment)
    assert killed.returncode == -9
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    runs = find_runs(project)
    assert runs is not None
    left = [
        runs.state_file.with_name(f".state.safetensors.{gone.pid}-3.partial"),
        runs.path / "snapshots" / f".zbk-000001.safetensors.{gone.pid}-4.partial",
    ]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    done = finish(train_project(project, resume=True))
    assert not any(path.exists() for path in left)
    assert done.run.parent == project.runs
    assert len(list(project.runs.iterdir())) == 1
