"""A lock on an open file, by the means of the system at hand."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt

    def lock_file(number: int) -> None:
        """Lock the file with this descriptor until it is closed. Raises BlockingIOError when another has it; OSError
        where files cannot be locked."""
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
