"""The safetensors container: reading its header without trust, and writing it so that equal content is equal bytes.

The library's writer orders the metadata by a random hash; ours sorts it, and lays the tensors out as the library
does (by dtype, then name), so that payload hashes agree with every other tool's.
"""

from __future__ import annotations

import json
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lorasmith.errors import AdapterError

MAX_HEADER = 100_000_000
DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
# The library's order: widest alignment first.
_ORDER = ("I64", "F64", "F32", "I32", "BF16", "F16", "I16", "I8", "U8", "BOOL")


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies in the payload, in bytes, and what it is."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """A file's header: metadata, tensors by key, and the offset of the payload."""

    metadata: Mapping[str, str]
    tensors: Mapping[str, TensorEntry]
    start: int


def read_header(path: Path | str) -> Header:
    """Read and check the header only. Raises AdapterError for anything that is no whole safetensors file."""
    file = Path(path)
    try:
        status = file.stat()
        size = status.st_size
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise AdapterError("is no ordinary file.", where=file)
        with file.open("rb") as opened:
            head = opened.read(8)
            _refuse_pickle(file, head)
            if len(head) < 8:
                raise AdapterError(f"only {size} bytes: not a safetensors file.", where=file)
            (length,) = struct.unpack("<Q", head)
            if length > min(MAX_HEADER, size):
                raise AdapterError(
                    "not a safetensors file, or cut short in its header.",
                    where=file,
                    hint="Download it again.",
                )
            text = opened.read(length)
    except FileNotFoundError:
        raise AdapterError("no such file.", where=file) from None
    except IsADirectoryError:
        raise AdapterError("is a folder, not an adapter file.", where=file) from None
    except OSError as fault:
        raise AdapterError(f"cannot be read: {fault.strerror}.", where=file) from None
    try:
        table = json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError):
        raise AdapterError(
            "its header is not JSON: not a safetensors file, or damaged.", where=file, hint="Download it again."
        ) from None
    return Header(_metadata(file, table), _entries(file, table, size - 8 - length), 8 + length)


def serialise(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file: the same bytes for the same content."""
    return header_bytes(tensors, metadata) + payload_bytes(tensors)


def header_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Length and JSON header, padded with spaces to a multiple of 8."""
    table: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    at = 0
    for key, tensor in _laid_out(tensors):
        table[key] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def payload_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """All tensors' bytes, little-endian, in the library's order."""
    return b"".join(
        tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        for _, tensor in _laid_out(tensors)
    )


def _laid_out(tensors: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    return sorted(tensors.items(), key=lambda item: (_ORDER.index(_NAMES[item[1].dtype]), item[0]))


def _refuse_pickle(file: Path, head: bytes) -> None:
    if head[:2] in (b"\x80\x02", b"\x80\x04", b"\x80\x03", b"PK"):
        raise AdapterError(
            "is a pickled file (.pt, .ckpt, .bin), which can run code when it is opened; it is not read.",
            where=file,
            hint="Get the adapter as .safetensors.",
        )


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table


def _metadata(file: Path, table: Any) -> dict[str, str]:
    if not isinstance(table, dict):
        raise AdapterError("its header is not a table: not a safetensors file.", where=file)
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise AdapterError("its metadata is not a table of texts.", where=file)
    return metadata


def _entries(file: Path, table: dict[str, Any], payload: int) -> dict[str, TensorEntry]:
    """The tensors' entries, checked as the library does: known dtypes, sizes that add up, no gap, no overlap."""
    entries: dict[str, TensorEntry] = {}
    for key, raw in table.items():
        try:
            begin, end = (_whole(offset) for offset in raw["data_offsets"])
            entry = TensorEntry(str(raw["dtype"]), tuple(_whole(size) for size in raw["shape"]), begin, end)
        except (KeyError, TypeError, ValueError):
            raise AdapterError(f"the header's entry {key!r} is malformed.", where=file) from None
        entries[key] = entry
    at = 0
    for key, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        dtype = DTYPES.get(entry.dtype)
        if dtype is None:
            raise AdapterError(f"{key} is of type {entry.dtype}, which adapters do not use.", where=file)
        count = 1
        for size in entry.shape:
            count *= size
        if entry.begin != at or min(entry.shape, default=0) < 0 or entry.end - at != count * dtype.itemsize:
            raise AdapterError(f"the header's entry {key!r} contradicts itself or its neighbour.", where=file)
        at = entry.end
    if at != payload:
        raise AdapterError(
            f"the header promises {at:,} bytes of tensors, the file has {payload:,}: cut short or damaged.",
            where=file,
            hint="Download it again.",
        )
    return entries
