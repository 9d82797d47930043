"""Ctrl-C, and the signal by which systems end a program, as a wish: training finishes its step and saves its state."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

from lorasmith.errors import Stopped
from lorasmith.events import Work

T = TypeVar("T")


@dataclass
class StopWish:
    """Whether the user has asked to stop."""

    wished: bool = False


@contextmanager
def heed_interrupts() -> Iterator[StopWish]:
    """The first Ctrl-C within becomes a wish; a second one raises KeyboardInterrupt as ever. SIGTERM (a container or a
    rented machine that is stopped, torchrun when another process has ended) is a wish, however often it comes.

    Outside the main thread nothing is changed, since only that one receives signals.
    """
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        if wish.wished and number == signal.SIGINT:
            raise KeyboardInterrupt
        wish.wished = True

    for number in before:
        signal.signal(number, note)
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stoppable(work: Work[T], wish: StopWish) -> Work[T]:
    """Work that ends with Stopped at its next event once the user wishes so. For work that a new start repeats."""
    while True:
        try:
            event = next(work)
        except StopIteration as stop:
            result: T = stop.value
            return result
        yield event
        if wish.wished:
            raise Stopped("stopped before the first step.", hint="The same command starts again.")
