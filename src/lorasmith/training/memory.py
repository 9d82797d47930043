"""The C library's allocator, told to keep what training frees: every step asks for the same memory again."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3


def keep_freed_memory() -> bool:
    """Stop glibc from giving freed blocks back to the system and faulting them in again; False elsewhere.

    For the whole process and its lifetime. On the CPU a training step spends much of its time in page faults
    without it (docs/performance.md).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # NOTE: older glibc takes no mmap threshold above 32 MiB.
    keeps = any(mallopt(_M_MMAP_THRESHOLD, limit) == 1 for limit in (1 << 30, 1 << 25))
    return keeps and mallopt(_M_TRIM_THRESHOLD, 1 << 30) == 1 and mallopt(_M_TOP_PAD, 1 << 26) == 1
