"""Locks between processes: on a file, by the means of the system at hand. A lock ends with its holder, however that
ends, and tells who holds it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lorasmith.errors import StorageError

_FAR = 1 << 30
"""Where a file is locked on systems on which nobody can read what is locked."""
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
    """Another process holds the file; `process` is its id where that can be read."""

    def __init__(self, process: int | None) -> None:
        super().__init__(f"held by process {process}")
        self.process = process

    @property
    def whose(self) -> str:
        """``process 123``, or ``another process``."""
        return "another process" if self.process is None else f"process {self.process}"


def hold(file: Path, wait: float = 0.0) -> BinaryIO:
    """Lock a file until it is closed or this process ends, however it ends; its id stands in the file.

    A child that inherits the descriptor holds it, too. Tries for `wait` seconds. Raises HeldError when another has it,
    OSError when it cannot be opened. Where files cannot be locked, nobody is kept out.
    """
    held = file.open("a+b")
    deadline = time.monotonic() + wait
    while True:
        try:
            _lock(held.fileno())
            break
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(_PAUSE)
                continue
            held.seek(0)
            known = held.read(32).strip()
            held.close()
            raise HeldError(int(known) if known.isdigit() else None) from None
        except OSError:
            return held
    with contextlib.suppress(OSError):  # a full disk: then nobody learns who holds it
        held.truncate(0)
        held.write(b"%d" % os.getpid())
        held.flush()
    return held


def is_held(file: Path) -> bool:
    """Whether a process holds the file now. Whoever wants it in that very moment must wait a little."""
    if not file.is_file():
        return False
    try:
        hold(file).close()
    except HeldError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def alone(file: Path, work: str) -> Iterator[None]:
    """Inside, no other process does this `work` ("builds the dataset"); where nothing can be locked it goes on without.
    Raises StorageError, which names the process that does."""
    lock: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = hold(file)
    except HeldError as held:
        hint = "Wait until it has ended, or stop that process; then run this again."
        raise StorageError(f"{held.whose} {work} already.", where=file.parent, hint=hint) from None
    except OSError:
        pass
    with lock:
        yield
