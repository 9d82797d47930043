"""Pure work over many items as work that tells how far it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from lorasmith.events import Progress, Work, eta
from lorasmith.pools.choosing import MANY, open_pool
from lorasmith.pools.local import LocalBody
from lorasmith.pools.pool import Answer, Job, Pool, answer_of, say


def deal_out(
    job: Job,
    items: Sequence[Any],
    stage: str,
    learn: Callable[[int, Any], None],
    *,
    chunk: int = 8,
    many: int = MANY,
    at_work: Path | None = None,
    complain: Callable[[int, Exception], None] | None = None,
) -> Work[tuple[int, ...]]:
    """Have the job done on every item; `learn` is called with each one's place and result, once, as they come, so that
    what is kept there is not done again after an interruption. Gives the places of those that end every process that
    takes them.

    What the job raises of an item goes to `complain`; without it that of the first item in their order is raised, once
    all are done. Where this process does the work itself, the item that it is at stands in the file `at_work`: should
    it end there, the next call gives that item to a process of its own.
    """
    killed: list[int] = []
    faults: list[Answer] = []
    total, started = len(items), time.monotonic()
    step = max(1, total // 100)
    with open_pool(total, many) as pool:
        answers = pool.each(job, items, chunk) if pool.helped else _answer_here(job, items, at_work)
        with contextlib.closing(answers):
            for done, answer in enumerate(answers, start=1):
                if answer.killed:
                    killed.append(answer.place)
                elif answer.fault is not None and complain is not None:
                    complain(answer.place, answer.fault)
                elif answer.fault is not None:
                    faults.append(answer)
                else:
                    learn(answer.place, answer.result)
                if done % step == 0 or done == total:
                    yield Progress(stage, done, total, eta(started, done, total))
    if faults:
        min(faults, key=lambda answer: answer.place).get()
    return tuple(sorted(killed))


def _answer_here(job: Job, items: Sequence[Any], at_work: Path | None) -> Generator[Answer, None, None]:
    """What this process says of each item, but of the one over which the last one ended."""
    work = job.open(*job.given)
    with _Trace(at_work) as trace:
        for place, item in enumerate(items):
            if trace.begin(item):
                yield answer_of(place, *say(work, item))
            else:
                with Pool(LocalBody(1)) as apart:
                    (answer,) = apart.each(job, [item])
                yield replace(answer, place=place)


class _Trace:
    """The item that this process is at, in a file that is there while the process is at any; what an earlier process
    left there has ended it. A folder that cannot be written to is no fault."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._suspect = b""

    def __enter__(self) -> _Trace:
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._suspect = self._path.read_bytes()
            with contextlib.suppress(OSError):
                self._file = self._path.open("wb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None and self._path is not None:
            self._file.close()
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def begin(self, item: Any) -> bool:
        """Whether this process may do it."""
        if self._path is None:
            return True
        text = repr(item).encode("utf-8", "surrogateescape")
        if text == self._suspect:
            return False
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.seek(0)
                self._file.write(text)
                self._file.truncate()
        return True
