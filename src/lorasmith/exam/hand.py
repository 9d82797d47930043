"""A process that draws for an exam (`lorasmith.exam.crew` starts it): an order on stdin, then batches of rows; for each
its pictures on stdout. It ends when its stdin does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lorasmith.exam.settings import ExamTable
from lorasmith.pools.pipes import receive, send

#: What it says once it can draw.
READY = "ready"


@dataclass(frozen=True)
class Order:
    """What a hand draws with; the base is opened as the exam's own process opens it."""

    base: str
    files: Sequence[Path]
    settings: ExamTable
    clip_skip: int


def main() -> None:
    """Draw until there is nothing more to read. A batch that fails is given back as None: its fault is told by the
    process that asked, when it draws it itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints must not disturb the answers
    asked = sys.stdin.buffer
    order: Order = receive(asked)

    import torch

    from lorasmith.bases.base import open_base
    from lorasmith.exam.drawing import PipelineArtist

    torch.set_num_threads(1)
    base = open_base(order.base, order.settings.precision, "exam", None, order.settings.weights)
    artist = PipelineArtist(base, order.files, order.settings, order.clip_skip)
    _answer(answers, READY)
    while True:
        try:
            number, rows = receive(asked)
        except EOFError:
            return
        try:
            drawn: Any = artist.draw(rows)
        except Exception:  # whatever it is, the asking process meets it, too
            drawn = None
        _answer(answers, (number, drawn))


def _answer(answers: IO[bytes], thing: object) -> None:
    try:
        send(answers, thing)
    except BrokenPipeError:  # nobody is left who wants it
        os._exit(0)


if __name__ == "__main__":
    main()
