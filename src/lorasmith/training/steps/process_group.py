"""Several processes that train one adapter: each takes its share of every micro-batch's rows (torchrun).

The shares' gradients are sums over the whole batch's number of rows, so that adding them up gives what one process
would have; all processes then take the same step. Only the first one writes files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from lorasmith.errors import TrainingError
from lorasmith.events import Work, finish
from lorasmith.remedies import Give, Sentence
from lorasmith.training.rows.source import MicroBatch

T = TypeVar("T")


class LostProcessError(TrainingError):
    """Another process of this training has ended, or its machine cannot be reached. No factors have changed since the
    last whole step."""


@dataclass(frozen=True)
class ProcessGroup:
    """This process's share: number `rank` of `count` processes."""

    rank: int
    count: int

    @property
    def writes(self) -> bool:
        """Is this the process that writes files and speaks to the user?"""
        return self.rank == 0

    def part(self, batch: MicroBatch) -> MicroBatch | None:
        """This process's rows of a micro-batch; None when it is smaller than there are processes."""
        return batch if self.count == 1 else batch.part(self.rank, self.count)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes into the tensors of each."""
        if self.count == 1:
            return
        on_gpu = torch.distributed.get_backend() == "nccl"
        with self._asked():
            for tensor in tensors:
                sent = tensor.cuda() if on_gpu else tensor.cpu()
                torch.distributed.all_reduce(sent)
                if sent is not tensor:
                    tensor.copy_(sent)

    def barrier(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            with self._asked():
                torch.distributed.barrier()

    def any(self, wish: bool) -> bool:
        """Whether any process wishes so."""
        if self.count == 1:
            return wish
        votes = torch.tensor(float(wish))
        self.sum([votes])
        return bool(votes)

    def broadcast(self, text: str) -> str:
        """The first process's text, in every process."""
        if self.count == 1:
            return text
        box = [text]
        with self._asked():
            torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Inside, others are waited for. Raises LostProcessError where one does not answer."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as fault:  # of gloo and NCCL alike
            raise LostProcessError(
                f"another of the {self.count} processes that train this run has ended or cannot be reached.",
                hint="What it says itself stands above, or on its machine.",
                remedy=Sentence("The state is saved: go on with ", Give("resume"), ", with any number of processes."),
            ) from fault


ALONE = ProcessGroup(0, 1)


def is_distributed() -> bool:
    """Was this process started by torchrun with others?"""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def is_first() -> bool:
    """Is this the process that speaks to the user?"""
    return not is_distributed() or os.environ["RANK"] == "0"


@contextmanager
def join_processes() -> Iterator[ProcessGroup]:
    """This process's share among those that torchrun started; alone without it.

    Meets over NCCL where every process has a GPU of its own, else over gloo.
    """
    if not is_distributed():
        yield ALONE
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = torch.cuda.is_available() and torch.cuda.device_count() > local
    if on_gpu:
        torch.cuda.set_device(local)
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield ProcessGroup(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()


def first_alone(work: Work[T], processes: ProcessGroup) -> Work[T]:
    """The first process does it while the others wait, and they then find what it has cached."""
    if processes.count == 1:
        return (yield from work)
    if processes.writes:
        result = yield from work
        processes.barrier()
        return result
    processes.barrier()
    return finish(work)
