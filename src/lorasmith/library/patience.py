"""Work on disks that may be slow or gone: done beside, and given up when nothing is heard of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds without a word after which a disk counts as gone: one that sleeps needs ten to wake."""
_ROOM = 2


class Silent(Exception):
    """Nothing was heard for longer than there is patience."""


def patiently(make: Callable[[], Iterator[T]], seconds: float) -> Iterator[T]:
    """What `make()` gives, made in a thread of its own; raises Silent when the next one takes longer than `seconds`.

    A thread that hangs in the system is left to itself: nothing else waits for it, the end of the program neither.
    """
    ready: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(_ROOM)
    stopped = threading.Event()

    def put(item: tuple[str, T | BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for value in make():
                if not put(("value", value)):
                    return
            put(("end", None))
        except BaseException as fault:  # handed over, whatever it is
            put(("fault", fault))

    threading.Thread(target=work, daemon=True, name="library").start()
    try:
        while True:
            try:
                kind, value = ready.get(timeout=seconds)
            except queue.Empty:
                raise Silent from None
            if kind == "end":
                return
            if kind == "fault":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]
    finally:
        stopped.set()
