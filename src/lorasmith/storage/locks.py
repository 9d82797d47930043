"""Locks between processes: on a file, by the means of the system at hand. A lock ends with its holder, however that
ends, and tells who holds it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

#: The byte that is locked where systems lock bytes: far behind the words, so that others can read those.
_FAR = 1 << 30
_PAUSE = 0.05

if sys.platform == "win32":
    import msvcrt

    def _lock(number: int) -> None:
        os.lseek(number, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None

else:
    import fcntl

    def _lock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


class HeldError(Exception):
    """Another process holds the lock: `holder` is its number, or None where it has not said so."""

    def __init__(self, holder: int | None) -> None:
        super().__init__(f"held by {holder}")
        self.holder = holder

    @property
    def whose(self) -> str:
        """``process 123``, or ``another process``."""
        return "another process" if self.holder is None else f"process {self.holder}"


@contextlib.contextmanager
def hold(file: Path, wait: float = 0.0) -> Iterator[int]:
    """Hold the lock of `file`, which is made; gives its descriptor (a child that inherits it holds the lock, too).

    Tries for `wait` seconds. Raises HeldError, or OSError where files cannot be locked.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + wait
        while True:
            try:
                _lock(descriptor)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise HeldError(_holder(descriptor)) from None
                time.sleep(_PAUSE)
        _write_holder(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _write_holder(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, str(os.getpid()).encode("ascii"))


def _holder(descriptor: int) -> int | None:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        return int(os.read(descriptor, 32))
    except (OSError, ValueError):
        return None
