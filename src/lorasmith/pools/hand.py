"""A worker's side: chunks of items in, what the job says of each out. As a process of the local pool it reads them from
stdin and ends when that does."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from typing import IO, Any

from lorasmith.pools.pipes import receive, send
from lorasmith.pools.pool import Job, Said, say

#: What a process says once it can work.
READY = "ready"


class Hand:
    """Does chunks; what a job opens is kept for the next chunk of the same job, the last one's only."""

    def __init__(self) -> None:
        self._job: bytes | None = None
        self._work: Callable[[Any], Any] | None = None

    def do(self, job: bytes, items: Sequence[Any]) -> list[Said]:
        """What the job says of each item. What it raises on opening, it says of every item."""
        try:
            if self._work is None or job != self._job:
                self._work = None  # the last one's model goes before the next one's comes
                wanted: Job = pickle.loads(job)
                self._work, self._job = wanted.open(*wanted.given), job
        except Exception as fault:
            return [(False, _portable(fault))] * len(items)
        said = [say(self._work, item) for item in items]
        return [(good, thing if good else _portable(thing)) for good, thing in said]


def _portable(fault: Exception) -> Exception:
    """The exception, or its words where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(fault))
    except Exception:  # a library's own class may raise anything there
        return RuntimeError(f"{type(fault).__name__}: {fault}")
    return fault


def main() -> None:
    """Work until there is nothing more to read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints must not disturb the answers
    asked = sys.stdin.buffer
    sys.path[:] = receive(asked)
    hand = Hand()
    _answer(answers, READY)
    while True:
        try:
            token, job, items = receive(asked)
        except EOFError:
            return
        _answer(answers, (token, hand.do(job, items)))


def _answer(answers: IO[bytes], thing: object) -> None:
    try:
        send(answers, thing)
    except BrokenPipeError:  # nobody is left who wants it
        os._exit(0)


if __name__ == "__main__":
    main()
