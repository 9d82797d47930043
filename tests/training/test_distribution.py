"""Two processes under torchrun make the adapter that one makes; shares of a batch add up to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lorasmith.adapters.files import load_adapter
from lorasmith.bases.base import Base
from lorasmith.diffusion.noise import key_generator
from lorasmith.events import finish
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train
from lorasmith.training.rows.source import MicroBatch, Rows
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


def test_torchrun_with_two_processes(tmp_path: Path, tiny_base_folder: Path, tiny_base: Base) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder), sizes=SIZES)
    alone = finish(train(project, read_recipe(project), base=tiny_base))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d"]
    command += ["--rdzv-endpoint=localhost:0", "-m", "lorasmith.cli.main", "train", str(project.root), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr[-3000:]
    events = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    steps = [event["step"] for event in events if event["event"] == "step"]
    assert steps == [1, 2, 3, 4], "each step is told once"
    done = events[-1]
    assert done["event"] == "done"
    assert done["run"] != str(alone.run)
    assert len(list(project.runs.iterdir())) == 2
    assert done["loss"] == pytest.approx(alone.loss, rel=1e-4)
    together, own = load_adapter(done["adapter"]), load_adapter(alone.adapter)
    largest = 0.0
    for name, factors in own.layers.items():
        for field, tensor in factors.trained().items():
            torch.testing.assert_close(together.layers[name].trained()[field], tensor, rtol=2e-2, atol=2e-5)
            largest = max(largest, float(tensor.abs().max()) if field == "up" else 0.0)
    assert largest > 1e-3
