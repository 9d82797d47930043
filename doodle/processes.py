"""Local SGD over a few one-thread processes: on small layers far faster than one process of several threads."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist

#: glibc would otherwise map and unmap every large activation anew.
_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}


def spawn(count: int) -> bool:
    """Start `count` copies of this script and wait for them; False in a copy, which must do the work itself."""
    if "DOODLE_RANK" in os.environ:
        torch.set_num_threads(1)
        return False
    with tempfile.TemporaryDirectory() as folder:
        copies = []
        for rank in range(count):
            own = {"DOODLE_RANK": str(rank), "DOODLE_COPIES": str(count), "DOODLE_MEETING": f"{folder}/meeting"}
            environment = {**os.environ, **_MALLOC, "OMP_NUM_THREADS": "1", **own}
            copies.append(subprocess.Popen([sys.executable, *sys.argv], env=environment))
        codes = [copy.wait() for copy in copies]
    if any(codes):
        sys.exit(f"a training process ended with {codes}")
    return True


class Crew:
    """The processes of a training, `rank` of `size`: `average` makes parameters equal, `agree` decides for all."""

    def __init__(self) -> None:
        self.rank = int(os.environ["DOODLE_RANK"])
        self.size = int(os.environ["DOODLE_COPIES"])
        if self.size > 1:
            meeting = f"file://{os.environ['DOODLE_MEETING']}"
            dist.init_process_group("gloo", init_method=meeting, rank=self.rank, world_size=self.size)

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace every tensor by its mean over the processes."""
        if self.size == 1:
            return
        with torch.no_grad():
            flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
            dist.all_reduce(flat)
            flat /= self.size
            for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def agree(self, wish: bool) -> bool:
        """True in every process as soon as one process wishes it."""
        if self.size == 1:
            return wish
        flag = torch.tensor([float(wish)])
        dist.all_reduce(flag)
        return bool(flag > 0)


class Clock:
    """Minutes of a training, counted over all its runs."""

    def __init__(self, minutes: float, before: float = 0.0) -> None:
        self.limit = minutes
        self.before = before
        self.start = time.monotonic()
        self.saved = self.start

    def due(self, every: float = 4.0) -> bool:
        """True once in `every` minutes: time to save the state."""
        now = time.monotonic()
        if now - self.saved < every * 60:
            return False
        self.saved = now
        return True

    @property
    def minutes(self) -> float:
        return self.before + (time.monotonic() - self.start) / 60

    @property
    def fraction(self) -> float:
        """Share of this run's limit that is used up, 0 to 1."""
        return min(1.0, (self.minutes - self.before) / self.limit)


def falling(fraction: float) -> float:
    """The learning rate's factor at a fraction of a run: half a cosine from 1 to 0.02."""
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * fraction))


def save_state(path: Path, state: dict[str, object]) -> None:
    """Write a training state whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
