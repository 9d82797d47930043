"""The header of a file, read as fast as thousands of files need: the metadata always, the tensors' part once for all
files that are built alike. Nothing of the weights is read, no torch is loaded."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, TypeVar

from lorasmith.container import MAX_HEADER, Header, read_container
from lorasmith.errors import AdapterError

T = TypeVar("T")
_FIRST = '{"__metadata__":'
_MOST_KEPT = 2048
"""Structures of files that are remembered: more are met rarely, and each is small."""


class _Repeated(ValueError):
    pass


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise _Repeated
    return table


_decoder = json.JSONDecoder(object_pairs_hook=_table)


@dataclass(frozen=True)
class FastHeader(Generic[T]):
    """Metadata, what the caller tells of the tensors, and a digest of the whole header with the file's size."""

    metadata: dict[str, str]
    structure: T
    digest: str


class HeaderReader(Generic[T]):
    """Reads headers; `tell` says what a structure is, and is asked once for files whose tensors have the same names,
    types, shapes and places. Raises AdapterError for what is no whole safetensors file."""

    def __init__(self, tell: Callable[[Path, Header], T]) -> None:
        self._tell = tell
        self._known: dict[tuple[bytes, int, str], T] = {}

    def read(self, path: Path, size: int, key: str = "") -> FastHeader[T]:
        """The header of a file of this size; `key` is what else the structure depends on."""
        text = _header_text(path, size)
        split = _metadata_of(text)
        if split is None:
            return self._slowly(path, size, text)
        metadata, rest = split
        tensors = blake2b(rest.rstrip(b" "), digest_size=16).digest()  # the padding depends on the metadata's length
        place = (tensors, size - len(text), key)
        structure = self._known.get(place)
        if structure is None:
            structure = self._tell(path, read_container(path, AdapterError, "an adapter"))
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[place] = structure
        head = blake2b(tensors + text[: len(text) - len(rest)], digest_size=16).hexdigest()
        return FastHeader(metadata, structure, head)

    def _slowly(self, path: Path, size: int, text: bytes) -> FastHeader[T]:
        header = read_container(path, AdapterError, "an adapter")
        digest = blake2b(text + str(size).encode(), digest_size=16).hexdigest()
        return FastHeader(dict(header.metadata), self._tell(path, header), digest)


def _header_text(path: Path, size: int) -> bytes:
    """The header's JSON; empty where it has none that can be, which `read_container` explains."""
    try:
        with path.open("rb") as opened:
            head = opened.read(8)
            if len(head) < 8:
                return b""
            (length,) = struct.unpack("<Q", head)
            return opened.read(length) if length <= min(MAX_HEADER, size - 8) else b""
    except OSError:
        return b""


def _metadata_of(text: bytes) -> tuple[dict[str, str], bytes] | None:
    """The metadata at the beginning of a header, where every tool writes them, and the rest; None where they are not
    there, or not as they must be."""
    begin = len(_FIRST)
    if text[:begin] != _FIRST.encode():
        return ({}, text) if text[:1] == b"{" and b'"__metadata__"' not in text else None
    try:
        whole = text.decode("utf-8")
        metadata, end = _decoder.raw_decode(whole, begin)
    except (ValueError, RecursionError):
        return None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        return None
    rest = text[end:] if whole.isascii() else whole[end:].encode("utf-8")
    return metadata, rest
