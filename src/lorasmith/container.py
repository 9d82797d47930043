"""The header of a safetensors file, read without trust and without torch: names, types, shapes, places of tensors."""

from __future__ import annotations

import json
import re
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lorasmith.errors import LorasmithError

MAX_HEADER = 100_000_000
MAX_DIMENSIONS = 32
"""Of one tensor: more than any weight has."""
SIZES: Mapping[str, int] = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""The types that weights come in, with bytes a number."""


class TensorEntry(NamedTuple):
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


def read_container(path: Path, error: type[LorasmithError], what: str) -> Header:
    """Read and check the header only. Raises `error` for anything that is no whole safetensors file.

    `what` says in messages what the file should be: "an adapter", "a base". A hostile header costs at most
    `MAX_HEADER` bytes of memory: its length is compared with the file's before it is read.
    """
    try:
        status = path.stat()
        size = status.st_size
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise error("is no ordinary file.", where=path)
        with path.open("rb") as opened:
            head = opened.read(9)
            if is_pickle(head) and not _may_be_header(head, size):
                raise error(
                    "is a pickled file (.pt, .ckpt, .bin), which can run code when it is opened; it is not read.",
                    where=path,
                    hint=f"Get {what} as .safetensors.",
                )
            if len(head) < 8:
                raise error(f"only {size} bytes: not a safetensors file.", where=path)
            (length,) = struct.unpack("<Q", head[:8])
            if length > min(MAX_HEADER, size):
                raise error("not a safetensors file, or cut short in its header.", where=path, hint=_AGAIN)
            opened.seek(8)
            text = opened.read(length)
    except FileNotFoundError:
        raise error("no such file.", where=path) from None
    except IsADirectoryError:
        raise error(f"is a folder, not {what} file.", where=path) from None
    except OSError as fault:
        raise error(f"cannot be read: {fault.strerror}.", where=path) from None
    try:
        table = _table(text)
    except (ValueError, RecursionError):
        raise error("its header is not JSON: not a safetensors file, or damaged.", where=path, hint=_AGAIN) from None
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise error("its metadata is not a table of texts.", where=path)
    return Header(metadata, _entries(path, table, size - 8 - length, error), 8 + length)


def is_pickle(head: bytes) -> bool:
    """Whether a file that begins so is a pickle, or torch's archive of them."""
    return head[:2] in (b"\x80\x02", b"\x80\x04", b"\x80\x03", b"\x80\x05", b"PK")


def _may_be_header(head: bytes, size: int) -> bool:
    """Whether a file of this size that begins so has a header: a length that fits, before a JSON table. Lengths such as
    640 look like the first bytes of a pickle."""
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") <= min(MAX_HEADER, size - 8)


_AGAIN = "Download it again."
_LARGEST = 2**63


_METADATA = re.compile(rb'"__metadata__"\s*:\s*')


def _table(text: bytes) -> dict[str, Any]:
    """The header's table, in which no key stands twice. Raises ValueError, RecursionError.

    Looking at each of thousands of entries costs as much as all the rest: as each has three keys once, it is enough to
    count them where they stand so often as there are tensors. The metadata are always looked at.
    """
    table = json.loads(text)
    if not isinstance(table, dict):
        raise ValueError
    tensors = len(table) - ("__metadata__" in table)
    found = list(_METADATA.finditer(text))
    plain = all(text.count(word) == tensors for word in (b'"dtype"', b'"shape"', b'"data_offsets"'))
    if not plain or len(found) > 1 or ("__metadata__" in table and not found):
        return dict(json.loads(text, object_pairs_hook=_without_repetition))
    for place in found:
        json.JSONDecoder(object_pairs_hook=_without_repetition).raw_decode(text[place.end() :].decode("utf-8"))
    return table


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table


def _bytes_of(entry: TensorEntry, payload: int) -> int:
    """Bytes that a tensor takes by its type and shape; something above `payload` where it takes more than that."""
    size = 0 if 0 in entry.shape else SIZES[entry.dtype]
    for extent in entry.shape:
        size *= extent
        if size > payload:
            break
    return size


def _short(name: str) -> str:
    """A name from a file as messages quote it."""
    return repr(name if len(name) <= 200 else f"{name[:200]} ...")


def _entries(path: Path, table: dict[str, Any], payload: int, error: type[LorasmithError]) -> dict[str, TensorEntry]:
    """The tensors' entries, checked as the library does: known types, sizes that add up, no gap, no overlap."""
    entries: dict[str, TensorEntry] = {}
    in_order, at = True, 0
    for key, raw in table.items():
        try:
            begin, end = raw["data_offsets"]
            shape = tuple(raw["shape"])
            if len(shape) > MAX_DIMENSIONS:
                raise ValueError
            for number in (begin, end, *shape):
                if type(number) is not int or not 0 <= number < _LARGEST:
                    raise ValueError
            entries[key] = TensorEntry(str(raw["dtype"]), shape, begin, end)
        except (KeyError, TypeError, ValueError):
            raise error(f"the header's entry {_short(key)} is malformed.", where=path) from None
        in_order, at = in_order and begin >= at, end
    listed = list(entries.items())
    if not in_order:
        listed.sort(key=lambda item: (item[1].begin, item[1].end))
    at = 0
    for key, entry in listed:
        if entry.dtype not in SIZES:
            raise error(f"{_short(key)} is of type {_short(entry.dtype)}, which is not read.", where=path)
        if entry.begin != at or entry.end - at != _bytes_of(entry, payload):
            raise error(f"the header's entry {_short(key)} contradicts itself or its neighbour.", where=path)
        at = entry.end
    if at != payload:
        raise error(
            f"the header promises {at:,} bytes of tensors, the file has {payload:,}: cut short or damaged.",
            where=path,
            hint=_AGAIN,
        )
    return entries
