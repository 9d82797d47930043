"""What lack of memory looks like, and memory that goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from lorasmith.recipe.recipe import Recipe
from lorasmith.training.steps.memory import asked_memory, describe_lack, is_lack_of_memory, return_memory, used_memory
from lorasmith.training.unpacking import unpack

_CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB of which 1.20 GiB is free."
_SCATTER = """
import gc, sys
sys.path[:0] = {path!r}
from lorasmith.training.steps.memory import return_memory

def resident():
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * 4096

kept, gone = [], []
for number in range(60_000):
    (kept if number % 64 == 0 else gone).append(bytearray(4000))
gone.clear()
gc.collect()
before = resident()
return_memory()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' C libraries give memory back by themselves")
def test_memory_between_small_pieces_that_live_on_goes_back() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _SCATTER.format(path=sys.path)], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) > 100 * 2**20
    return_memory()  # here too it does no harm


_REUSE = """
import resource, sys
sys.path[:0] = {path!r}
import torch
from lorasmith.training.steps.memory import kept_blocks

def step():
    return len([torch.zeros(2_000_000) for _ in range(12)])

def faults(context):
    with context:
        for _ in range(3):
            step()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            step()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(kept_blocks()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' C libraries have no such switch")
def test_blocks_that_are_kept_need_no_new_pages() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _REUSE.format(path=sys.path)], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) < 50_000  # 20 times 12 blocks of 8 MB are 470,000 pages


def test_lack_of_memory_is_told_from_other_faults() -> None:
    lack = RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4294967296 bytes"
    )
    assert is_lack_of_memory(lack)
    assert is_lack_of_memory(MemoryError())
    assert is_lack_of_memory(torch.OutOfMemoryError(_CUDA))
    assert not is_lack_of_memory(RuntimeError("shapes do not fit"))
    assert asked_memory(lack) == "4.00 GiB more were asked for"
    assert asked_memory(torch.OutOfMemoryError(_CUDA)) == "2.00 GiB more were asked for, 1.20 GiB were free"
    assert asked_memory(MemoryError()) == "the system gave no more"


def test_only_what_helps_is_proposed() -> None:
    many = describe_lack(MemoryError(), unpack(Recipe(epochs=1, batch_size=4, accumulate=2)).memory, 4)
    assert "batch_size = 2 with accumulate = 4" in str(many.hint)
    assert "checkpointing = true" in str(many.hint)
    least = Recipe(epochs=1, batch_size=1, checkpointing=True, weights="int8")
    one = describe_lack(MemoryError(), unpack(least).memory, 1)
    assert "1 row at once" in one.message
    assert not any(word in str(one.hint) for word in ("batch_size", "checkpointing", "int8"))


def test_memory_in_use_is_counted() -> None:
    assert used_memory() > 50 * 2**20
