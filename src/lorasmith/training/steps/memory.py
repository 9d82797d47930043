"""Memory that does not suffice: how it is recognised, what was asked for, what helps; and how much is used."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lorasmith.errors import TrainingError
from lorasmith.training.settings import MemorySettings

_CUDA = re.compile(r"tried to allocate ([\d.]+ [KMGT]?i?B)", re.IGNORECASE)
_CUDA_FREE = re.compile(r"of which ([\d.]+ [KMGT]?i?B) is free", re.IGNORECASE)
_CPU = re.compile(r"you tried to allocate (\d+) bytes", re.IGNORECASE)


def is_lack_of_memory(fault: BaseException) -> bool:
    """Whether torch or Python had no memory left."""
    if isinstance(fault, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(fault, RuntimeError) and _CPU.search(str(fault)) is not None


def describe_lack(fault: BaseException, settings: MemorySettings, rows: int) -> TrainingError:
    """What was asked for and what helps, for passes of `rows` rows."""
    switches = []
    if rows > 1:
        switches.append(f"batch_size = {max(1, settings.batch_size // 2)} with accumulate = {2 * settings.accumulate}")
        if not settings.fits:
            switches.append("fit_memory = true (fewer rows at once, same result)")
    if not settings.checkpointing:
        switches.append("checkpointing = true")
    elif not settings.swaps and torch.cuda.is_available():
        switches.append("blocks_to_swap = 20 (blocks of the denoiser wait in the host's memory)")
    if not settings.compressed:
        switches.append('weights = "int8" (the frozen base in a byte each)')
    if settings.smallest_side > 256:
        switches.append(f"resolution = {settings.smallest_side * 3 // 4 // 64 * 64}")
    if settings.trains_text:
        switches.append("lr.text_encoder = 0")
    if settings.convolutions:
        switches.append("conv.rank = 0")
    if settings.preserves:
        switches.append("preserve.share lower")
    return TrainingError(
        f"memory does not suffice for {rows} row{'s' if rows > 1 else ''} at once: {asked_memory(fault)}.",
        hint=f"What helps: {'; '.join(switches)}. Then start a new run, or go on with what the last state holds.",
    )


def asked_memory(fault: BaseException) -> str:
    """``2.00 GiB more were asked for, 1.20 GiB were free``, as far as the fault tells."""
    text = str(fault)
    if found := _CPU.search(text):
        return f"{int(found[1]) / 2**30:.2f} GiB more were asked for"
    if found := _CUDA.search(text):
        free = _CUDA_FREE.search(text)
        return f"{found[1]} more were asked for" + (f", {free[1]} were free" if free else "")
    return "the system gave no more"


def return_memory() -> None:
    """Give the system back what the C library holds on to between freed pieces. Long runs of small tensors among which
    a few live on would else spread over more and more pages."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Any:
    """A function of the C library; None where that is another than glibc, which does all this by itself."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


@contextmanager
def kept_blocks() -> Iterator[None]:
    """Inside, the C library keeps freed blocks of up to 32 MB, which the next step asks for again, rather than give
    their pages back and get new, empty ones: a step of the embedded base takes 5 % less."""
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_KEPT)  # where the library's own rule ends, too
        return_memory()


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 32 << 20


def used_memory() -> int:
    """Bytes: the most that was in use so far, of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
