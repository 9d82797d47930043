"""Two processes under torchrun make the adapter that one makes; shares of a batch add up to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from lorasmith.adapters.files import load_adapter
from lorasmith.bases.base import Base
from lorasmith.diffusion.noise import key_generator
from lorasmith.events import StepDone, finish
from lorasmith.project import Project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train
from lorasmith.training.rows.source import MicroBatch, Rows
from lorasmith.training.runs.resuming import find_runs
from lorasmith.training.runs.state import load_state
from lorasmith.training.steps.trainer_group import pack_rows
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket.enabled = false
batch_size = 3
rank = 2
alpha = 1
epochs = 2
save_every = "1 epoch"
layers = ["attention"]
lr = { unet = 1e-3, text_encoder = 1e-3 }
optimizer.name = "adamw"
preserve.kind = "differential"
"""
SIZES = ((64, 64),) * 5
"""The second batch of an epoch has two rows: the first process gets one, and so does the second."""


def some_rows(count: int, of: int | None = None) -> Rows:
    generator = key_generator("rows", count)
    x_0, noise = (torch.randn((count, 4, 8, 8), generator=generator) for _ in range(2))
    captions = tuple(f"row {number}" for number in range(count))
    return Rows(x_0, noise, torch.arange(count) / 1000, captions, of=of, seeds=tuple(range(count)))


def test_parts_share_all_rows_out() -> None:
    rows = some_rows(5)
    parts = [part for number in range(3) if (part := rows.part(number, 3)) is not None]
    assert [part.captions for part in parts] == [("row 0", "row 3"), ("row 1", "row 4"), ("row 2",)]
    assert {part.of for part in parts} == {5}
    assert torch.equal(parts[1].noise, rows.noise[[1, 4]])
    assert [part.seeds for part in parts] == [(0, 3), (1, 4), (2,)]
    again = parts[0].part(1, 2)
    assert again is not None
    assert (again.captions, again.of) == (("row 3",), 5)
    assert some_rows(1).part(1, 2) is None


def test_passes_are_packed_to_what_memory_allows() -> None:
    shown = {number: MicroBatch((64, 64), some_rows(count), None) for number, count in enumerate((1, 1, 3, 2))}
    assert [list(each) for each in pack_rows(shown, None)] == [[0, 1, 2, 3]]
    packed = list(pack_rows(shown, 2))
    assert [[(number, part.rows) for number, part in each.items()] for each in packed] == [
        [(0, 1), (1, 1)], [(2, 2)], [(2, 1)], [(3, 2)],
    ]  # fmt: skip
    assert all(sum(part.rows for part in each.values()) == 1 for each in pack_rows(shown, 1))


def start(project: Project, *nodes: Sequence[str], resume: bool = False) -> list[subprocess.Popen[str]]:
    """A torchrun for each node, with these arguments of its own."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    started = []
    for own in nodes:
        command = [sys.executable, "-m", "torch.distributed.run", *own, "--rdzv-backend=c10d"]
        command += [f"--rdzv-endpoint=127.0.0.1:{port}", "-m", "lorasmith.cli.main", "train", str(project.root)]
        command += ["--json", *(["--resume"] if resume else [])]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment))
    return started


ONE_NODE = (["--nproc-per-node=2"],)
TWO_NODES = tuple(["--nnodes=2", f"--node-rank={rank}", "--nproc-per-node=1"] for rank in range(2))


def finished(started: Sequence[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """What all of them told, once they have ended well."""
    told = [process.communicate(timeout=240) for process in started]
    assert [process.returncode for process in started] == [0] * len(started), told
    return [json.loads(line) for out, _ in told for line in out.splitlines() if line.startswith("{")]


def assert_alike(one: Path, other: Path) -> None:
    """The same factors, but for the rounding of sums in another order, and Adam's first steps make of it what they do
    where a gradient is next to nothing."""
    own, theirs = load_adapter(one), load_adapter(other)
    largest = 0.0
    for name, factors in own.layers.items():
        for field, tensor in factors.trained().items():
            torch.testing.assert_close(theirs.layers[name].trained()[field], tensor, rtol=2e-2, atol=2e-5)
            largest = max(largest, float(tensor.abs().max()) if field == "up" else 0.0)
    assert largest > 1e-3


def test_torchrun_with_two_nodes(tmp_path: Path, tiny_base_folder: Path, tiny_base: Base) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder), sizes=SIZES)
    alone = finish(train(project, read_recipe(project), base=tiny_base))
    events = finished(start(project, *TWO_NODES))
    steps = [event["step"] for event in events if event["event"] == "step"]
    assert steps == [1, 2, 3, 4], "each step is told once"
    done = events[-1]
    assert done["event"] == "done"
    assert done["run"] != str(alone.run)
    assert len(list(project.runs.iterdir())) == 2
    assert done["loss"] == pytest.approx(alone.loss, rel=1e-4)
    assert_alike(alone.adapter, Path(done["adapter"]))


def test_what_one_process_began_two_go_on_with(tmp_path: Path, tiny_base_folder: Path, tiny_base: Base) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder), sizes=SIZES)
    alone = finish(train(project, read_recipe(project), base=tiny_base))
    work = train(project, read_recipe(project), base=tiny_base)
    begun = next(event for event in work if isinstance(event, StepDone) and event.step == 2)
    work.close()
    events = finished(start(project, *ONE_NODE, resume=True))
    assert [event["step"] for event in events if event["event"] == "step"] == [begun.step + 1, 4]
    done = events[-1]
    assert done["loss"] == pytest.approx(alone.loss, rel=1e-4)
    assert_alike(alone.adapter, Path(done["adapter"]))


def test_a_killed_process_ends_the_run_and_one_goes_on_with_it(
    tmp_path: Path, tiny_base_folder: Path, tiny_base: Base
) -> None:
    longer = RECIPE.replace("epochs = 2", "epochs = 100")
    project = build_project(tmp_path / "p", longer, base=str(tiny_base_folder), sizes=SIZES)
    nodes = start(project, *TWO_NODES)
    assert nodes[0].stdout is not None
    steps = (event["step"] for line in nodes[0].stdout if (event := json.loads(line))["event"] == "step")
    last = next(steps)
    (victim,) = children(nodes[1].pid)
    os.kill(victim, signal.SIGKILL)
    told, complaint = nodes[0].communicate(timeout=120)
    nodes[1].communicate(timeout=120)
    assert [node.returncode == 0 for node in nodes] == [False, False]
    assert "another of the 2 processes that train this run has ended" in complaint
    assert "go on with --resume" in complaint
    last += told.count('"event": "step"')
    runs = find_runs(project)
    assert runs is not None
    state = load_state(runs.state_file)
    reached = state.sessions[0].step
    assert reached >= last, "not a step is lost"
    work = train(project, read_recipe(project), base=tiny_base, resume=True)
    more = [event.step for event in islice((each for each in work if isinstance(each, StepDone)), 2)]
    assert more == [reached + 1, reached + 2]
    work.close()


def children(process: int) -> list[int]:
    """The numbers of the processes that it has started."""
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
