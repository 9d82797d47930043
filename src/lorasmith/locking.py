"""A lock on an open file, by the means of the system at hand."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import BinaryIO

_FAR = 1 << 30
"""Where a file is locked on systems on which nobody can read what is locked."""

if sys.platform == "win32":
    import msvcrt

    def lock_file(number: int) -> None:
        """Lock the file with this descriptor until it is closed. Raises BlockingIOError when another has it; OSError
        where files cannot be locked."""
        os.lseek(number, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None

else:
    import fcntl

    def lock_file(number: int) -> None:
        """Lock the file with this descriptor until it is closed. Raises BlockingIOError when another has it; OSError
        where files cannot be locked."""
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


class HeldError(Exception):
    """Another process holds the file; `process` is its id where that can be read."""

    def __init__(self, process: int | None) -> None:
        super().__init__(f"held by process {process}")
        self.process = process


def hold(file: Path) -> BinaryIO:
    """Lock a file until it is closed or this process ends, however it ends; its id stands in the file.

    Raises HeldError when another has it, OSError when it cannot be opened. Where files cannot be locked, nobody is
    kept out.
    """
    held = file.open("a+b")
    try:
        lock_file(held.fileno())
    except BlockingIOError:
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
