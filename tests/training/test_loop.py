"""Whole runs on a tiny base: what they leave, and that an interruption does not show."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lorasmith.adapters.files import read_header
from lorasmith.bases.base import Base
from lorasmith.errors import RecipeError, Stopped, StorageError, TrainingError
from lorasmith.events import Done, Event, SnapshotSaved, StepDone, finish
from lorasmith.project import Project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.storage.files import write_file
from lorasmith.training import step_loop
from lorasmith.training.loop import train
from lorasmith.training.runs.folder import Run
from lorasmith.training.runs.resuming import find_runs
from lorasmith.training.runs.state import load_state
from lorasmith.training.steps.trainer import Trainer
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket = { min = 32, max = 128, step = 32 }
batch_size = 2
rank = 2
alpha = 1
clip_skip = 1
epochs = 4
save_every = "1 epoch"
lr = { unet = 1e-3, text_encoder = 1e-3 }
optimizer.name = "adamw"
"""


@pytest.fixture
def project(tmp_path: Path, tiny_base_folder: Path) -> Project:
    return build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))


def run_all(project: Project, base: Base, *, resume: bool = False, **overrides: Any) -> tuple[Done, list[Event]]:
    events: list[Event] = []
    recipe = read_recipe(project, {key.replace("__", "."): value for key, value in overrides.items()})
    return finish(train(project, recipe, base=base, resume=resume), events.append), events


def same_tensors(one: Path, other: Path) -> bool:
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def only_run(project: Project) -> Run:
    runs = find_runs(project)
    assert runs is not None
    return runs.runs[""]


def test_a_run_leaves_what_it_promises(project: Project, tiny_base: Base) -> None:
    done, events = run_all(project, tiny_base)
    run = only_run(project)
    assert events[-1] == done
    assert done.adapter == run.adapter_file
    assert done.adapter.is_file()
    # two 64x64 images and one of 128x32: two batches an epoch
    assert [event.step for event in events if isinstance(event, StepDone)] == list(range(1, 9))
    snapshots = [event.path for event in events if isinstance(event, SnapshotSaved)]
    assert [path.name for path in snapshots] == [f"zbk-{epoch:06d}.safetensors" for epoch in (1, 2, 3, 4)]
    assert same_tensors(snapshots[-1], done.adapter)
    assert not same_tensors(snapshots[0], done.adapter)
    logged = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    assert logged[-1]["event"] == "done"
    assert [entry["step"] for entry in logged if entry["event"] == "step"] == list(range(1, 9))
    assert json.loads(run.plan_file.read_text())["steps"] == 8
    assert run.recipe() == read_recipe(project)


def test_the_header_tells_how_it_was_made(project: Project, tiny_base: Base) -> None:
    done, _ = run_all(project, tiny_base, epochs="1")
    header = read_header(done.adapter).metadata
    assert header["ss_output_name"] == "zbk"
    assert (header["ss_network_dim"], header["ss_network_alpha"]) == ("2", "1.0")
    assert json.loads(header["ss_tag_frequency"]) == {
        "images": {
            "zbk": 3, "red hair": 1, "blue hair": 1, "green hair": 1, "smile": 3, "blue background": 3,
        }
    }  # fmt: skip
    assert json.loads(header["ss_dataset_dirs"]) == {"images": {"n_repeats": 1, "img_count": 3}}
    buckets = json.loads(header["ss_bucket_info"])["buckets"]
    assert sum(bucket["count"] for bucket in buckets.values()) == 3
    assert header["modelspec.trigger_phrase"] == "zbk"
    assert header["modelspec.thumbnail"].startswith("data:image/jpeg;base64,")
    assert header["sshs_model_hash"]
    assert (header["ss_steps"], header["ss_epoch"], header["ss_max_train_steps"]) == ("2", "1", "2")
    assert str(project.root) not in json.dumps(dict(header))


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"optimizer__name": "adafactor", "lr__text_encoder": "0", "flip": "true"},
        {"preserve__kind": "differential", "noise__offset": "0.1", "caption__dropout": "0.3", "accumulate": "2"},
        {
            "optimizer__name": "lion",
            "average__kind": "ema",
            "dropout__rank": "0.2",
            "noise__multires_iterations": "3",
            "caption__tag_dropout": "0.2",
            "augment__random_crop": "true",
        },
    ],
    ids=["adamw", "adafactor", "preserving", "averaging"],
)
def test_a_stop_anywhere_does_not_show(project: Project, tiny_base: Base, overrides: dict[str, Any]) -> None:
    whole, events = run_all(project, tiny_base, **overrides)
    steps = [event for event in events if isinstance(event, StepDone)]
    recipe = read_recipe(project, {key.replace("__", "."): value for key, value in overrides.items()})
    work = train(project, recipe, base=tiny_base)
    for event in work:
        if isinstance(event, StepDone) and event.step == len(steps) // 2 + 1:
            break
    work.close()
    resumed, later = run_all(project, tiny_base, resume=True, **overrides)
    assert resumed.run != whole.run
    assert same_tensors(whole.adapter, resumed.adapter)
    assert resumed.loss == pytest.approx(whole.loss, abs=0)
    assert [event.step for event in later if isinstance(event, StepDone)] == [
        event.step for event in steps[len(steps) // 2 + 1 :]
    ]
    logged = [json.loads(line) for line in (resumed.run / "events.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged if entry["event"] == "step"] == [event.step for event in steps]


def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(project: Project, tiny_base: Base) -> None:
    assert threading.current_thread() is threading.main_thread()
    # A shell's background job is started with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    whole, _ = run_all(project, tiny_base)
    seen: list[Event] = []

    def interrupt(event: Event) -> None:
        seen.append(event)
        if isinstance(event, StepDone) and event.step == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Stopped, match=r"stopped after step 3 of 8.*resume"):
        finish(train(project, read_recipe(project), base=tiny_base), interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)
    resumed, _ = run_all(project, tiny_base, resume=True)
    assert same_tensors(whole.adapter, resumed.adapter)


def test_the_signal_that_ends_programs_saves_the_state_however_often_it_comes(
    project: Project, tiny_base: Base
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def end(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 3:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped, match=r"stopped after step 3 of 8.*resume"):
        finish(train(project, read_recipe(project), base=tiny_base), end)
    assert signal.getsignal(signal.SIGTERM) is before
    assert load_state(only_run(project).path / "state" / "state.safetensors").sessions[0].step == 3


def test_what_was_trained_elsewhere_is_complete_here(project: Project, tiny_base: Base) -> None:
    done, _ = run_all(project, tiny_base, epochs="1")
    fetched = done.run.rename(done.run.with_name("fetched"))
    again, _ = run_all(project, tiny_base, resume=True, epochs="1")
    assert (again.run, again.adapter) == (fetched, fetched / done.adapter.name)
    assert again.adapter.is_file()


def test_a_complete_run_resumes_to_its_own_end(project: Project, tiny_base: Base) -> None:
    done, _ = run_all(project, tiny_base, epochs="1")
    again, events = run_all(project, tiny_base, resume=True, epochs="1")
    assert again == done
    assert events[-1] == done
    assert not [event for event in events if isinstance(event, StepDone)]


def test_resuming_nothing_starts(project: Project, tiny_base: Base) -> None:
    done, events = run_all(project, tiny_base, resume=True, epochs="1")
    assert done.steps == 2
    assert any("no run to go on with" in str(event.as_json().get("message")) for event in events)


def stopped_run(project: Project, base: Base) -> Run:
    work = train(project, read_recipe(project), base=base)
    for event in work:
        if isinstance(event, StepDone):
            break
    work.close()
    return only_run(project)


def test_resuming_refuses_another_recipe(project: Project, tiny_base: Base) -> None:
    stopped_run(project, tiny_base)
    with pytest.raises(RecipeError, match=r"rank \(2, now 3\)"):
        run_all(project, tiny_base, resume=True, rank="3")


def test_resuming_refuses_other_captions(project: Project, tiny_base: Base) -> None:
    stopped_run(project, tiny_base)
    (project.root / "images" / "1.txt").write_text("zbk, something else")
    with pytest.raises(TrainingError, match="captions have changed"):
        run_all(project, tiny_base, resume=True)


def test_a_damaged_state_is_named(project: Project, tiny_base: Base) -> None:
    run = stopped_run(project, tiny_base)
    file = run.path / "state" / "state.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(TrainingError, match="state cannot be read"):
        run_all(project, tiny_base, resume=True)


def test_the_base_is_untouched(project: Project, tiny_base: Base) -> None:
    modules = [tiny_base.denoiser, *(encoder.model for encoder in tiny_base.text_encoders)]
    before = [{key: value.clone() for key, value in module.state_dict().items()} for module in modules]
    run_all(project, tiny_base, epochs="1")
    for module, old in zip(modules, before, strict=True):
        assert all(torch.equal(value, old[key]) for key, value in module.state_dict().items())
        assert not any("forward" in vars(layer) for layer in module.modules())


def test_a_loss_that_is_no_number_stops_with_the_reason(
    project: Project, tiny_base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance, count = Trainer._check, 0

    def poisoned(trainer: Trainer, loss: float, norm: float) -> None:
        nonlocal count
        count += 1
        advance(trainer, float("nan") if count == 4 else loss, norm)

    monkeypatch.setattr(Trainer, "_check", poisoned)
    with pytest.raises(TrainingError, match=r"step 4: the loss or its gradient is no longer a number\. Lower lr"):
        run_all(project, tiny_base)
    monkeypatch.undo()
    done, events = run_all(project, tiny_base, resume=True)
    assert done.steps == 8
    assert next(event.step for event in events if isinstance(event, StepDone)) == 3


def test_a_high_rate_explodes_with_the_reason(project: Project, tiny_base: Base) -> None:
    with pytest.raises(TrainingError, match=r"exploded|no longer a number"):
        run_all(project, tiny_base, lr__unet="10", schedule__name="constant", epochs="40", max_grad_norm="0")


def test_a_full_disk_leaves_the_last_state(project: Project, tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = run_all(project, tiny_base)
    saves = 0

    def full(path: Path, data: bytes | str) -> Path:
        nonlocal saves
        saves += 1
        if saves == 3:
            raise StorageError("cannot write: No space left on device.", where=path)
        return write_file(path, data)

    monkeypatch.setattr("lorasmith.training.runs.state.write_file", full)
    with pytest.raises(StorageError, match="No space left"):
        run_all(project, tiny_base)
    monkeypatch.undo()
    resumed, _ = run_all(project, tiny_base, resume=True)
    assert same_tensors(whole.adapter, resumed.adapter)


KILLED = """
import sys, torch
from lorasmith.events import finish
from lorasmith.project import open_project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training import loop, step_loop
step_loop.SAVE_SECONDS = 0.05
torch.set_num_threads(1)
project = open_project(sys.argv[1])
recipe = read_recipe(project, {"epochs": "40"})
finish(loop.train(project, recipe, resume=True), lambda event: print(event.name, flush=True))
"""


def kill_after(command: Sequence[str], lines: int, pause: float) -> bool:
    """Start, wait for so many lines of output and a moment, kill -9; False when it had ended by itself."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(lines):
            if not process.stdout.readline():
                break
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode != 0


def test_kill_at_random_moments_does_not_show(
    project: Project, tiny_base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five times kill -9: while caching, between steps, inside them, while saving; then to the end."""
    monkeypatch.setattr(step_loop, "SAVE_SECONDS", 0.05)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole, _ = run_all(project, tiny_base, epochs="40")
    finally:
        torch.set_num_threads(threads)
    whole_adapter = whole.adapter.rename(project.root / "whole.safetensors")
    for file in sorted(whole.run.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    whole.run.rmdir()
    chance = random.Random(11)
    command = [sys.executable, "-c", KILLED, str(project.root)]
    killed = [kill_after(command, lines, chance.uniform(0, 0.05)) for lines in (2, 12, 25, 9, 31)]
    assert all(killed)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    run = only_run(project)
    assert run.done() is not None
    assert len(list(project.runs.iterdir())) == 1
    assert same_tensors(whole_adapter, run.adapter_file)
    steps = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    assert [entry["step"] for entry in steps if entry["event"] == "step"] == list(range(1, 81))
