"""What is watched along the way: bands of timesteps, pace, memory's faults."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
import torch

from lorasmith.errors import RecipeError
from lorasmith.events import StepDone, Validated
from lorasmith.recipe.recipe import Recipe
from lorasmith.training.runs.watch import LossBands, Pace, TensorBoard
from lorasmith.training.steps.memory import asked_memory, describe_lack, is_lack_of_memory, used_memory
from lorasmith.training.unpacking import unpack


def test_bands_average_their_own_rows_and_come_back() -> None:
    bands = LossBands()
    assert bands.means() == {}
    bands.add((0, 249, 250, 999), (1.0, 2.0, 5.0, 7.0))
    assert bands.means() == {"0-249": 1.5, "250-499": 5.0, "750-999": 7.0}
    again = LossBands(bands.state())
    again.add((10,), (4.5,))
    assert again.means()["0-249"] == 2.5
    again.add((600,) * 60, (1.0,) * 10 + (3.0,) * 50)
    assert again.means()["500-749"] == 3.0, "old rows are forgotten"


def test_pace_forgets_the_slow_first_steps() -> None:
    pace = Pace()
    for _ in range(3):
        pace.count(10.0, 1.0, 1)
    assert not pace.known
    for _ in range(4):
        pace.count(0.5, 2.0, 4)
    assert pace.known
    assert (pace.step_seconds, pace.rows_per_second, pace.per_row_pixel) == (0.5, 8.0, 0.25)


def test_faults_of_memory_are_known_and_told() -> None:
    cuda = torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 8 GiB of which 1.20 GiB is free."
    )
    cpu = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 3221225472 bytes.")
    assert is_lack_of_memory(cuda)
    assert is_lack_of_memory(cpu)
    assert is_lack_of_memory(MemoryError())
    assert not is_lack_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert asked_memory(cuda) == "2.50 GiB more were asked for, 1.20 GiB were free"
    assert asked_memory(cpu) == "3.00 GiB more were asked for"
    told = str(describe_lack(cuda, unpack(Recipe(epochs=1, batch_size=4)).memory, 4))
    for word in (
        "4 rows at once",
        "2.50 GiB",
        "batch_size = 2 with accumulate = 2",
        "checkpointing",
        "resolution = 384",
    ):
        assert word in told
    least = Recipe(epochs=1, batch_size=1, resolution=(256, 256), checkpointing=True)
    assert "batch_size" not in str(describe_lack(cpu, unpack(least).memory, 1))
    assert used_memory() > 1 << 20


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoard(tmp_path)
    for step in (1, 2):
        board.see(StepDone(step, 2, 0, 0.5 / step, {"unet": 1e-3}, bands={"0-249": 0.25}, speed=3.0))
    board.see(Validated(2, 0.4, 0.8))
    board.close()
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    assert [(each.step, each.value) for each in read.Scalars("loss/step")] == [(1, 0.5), (2, 0.25)]
    assert read.Scalars("loss/t_0-249")[0].value == 0.25
    assert read.Scalars("rate/unet")[1].value == pytest.approx(1e-3)
    assert read.Scalars("loss/held_out")[0].value == pytest.approx(0.4)


def test_tensorboard_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **rest: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *more, **rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RecipeError, match=r"pip install \"lorasmith\[tensorboard\]\""):
        TensorBoard(tmp_path)
