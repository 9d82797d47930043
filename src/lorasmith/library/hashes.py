"""The hashes that hubs and other tools know a file by, all from one reading of it."""

from __future__ import annotations

import hashlib
import importlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.bases.hashing import weight_files
from lorasmith.container import MAX_HEADER

_CHUNK = 1 << 20
_SAID = 4 << 20
"""Bytes after which a word is given."""
_BEGIN, _LENGTH = 0x100000, 0x10000
"""The window that A1111's first hash was taken of; sd-scripts' legacy hash is of the same place in another file."""


OF_NOTHING = hashlib.sha256().hexdigest()[:8]
"""What sd-scripts records of a file that ends before its window."""


@dataclass(frozen=True)
class Hashes:
    """Lower-case hexadecimal digits. `sha256` of the file; `autov1` of 64 KiB at 1 MiB, 8 digits; `payload` of all
    behind the header (AutoV3, A1111's for LoRAs); `addnet` what sd-scripts records as `sshs_legacy_hash`, 8 digits;
    `blake3` where that package is there. "" where a file has none."""

    sha256: str
    autov1: str = ""
    payload: str = ""
    addnet: str = ""
    blake3: str = ""


def hash_file(path: Path) -> Hashes:
    """All hashes of a file; of a base's folder there is one, over its weights. Raises OSError."""
    for step in hash_steps(path):
        if isinstance(step, Hashes):
            return step
    raise AssertionError("the last step is the hashes")


def hash_steps(path: Path) -> Iterator[int | Hashes]:
    """The bytes that were read so far, now and then, and at the end the hashes. Raises OSError."""
    if path.is_dir():
        yield from _folder_steps(path)
        return
    whole, payload, blake = hashlib.sha256(), hashlib.sha256(), _blake3()
    at = 0
    windows: dict[int, bytes] = {_BEGIN: b""}
    with path.open("rb") as opened:
        head = opened.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        start = 8 + length if path.suffix == ".safetensors" and length <= MAX_HEADER else None
        legacy = _legacy_place(opened.read(length), start) if start is not None else None
        if legacy is not None:
            windows[legacy] = b""
        opened.seek(0)
        while chunk := opened.read(_CHUNK):
            whole.update(chunk)
            if blake is not None:
                blake.update(chunk)
            if start is not None and at + len(chunk) > start:
                payload.update(chunk[max(0, start - at) :])
            for begin in windows:
                windows[begin] += chunk[max(0, begin - at) : max(0, begin + _LENGTH - at)]
            at += len(chunk)
            if at % _SAID == 0:
                yield at
    yield Hashes(
        whole.hexdigest(),
        _short_hash(windows[_BEGIN]),
        payload.hexdigest() if start is not None else "",
        _short_hash(windows[legacy]) if legacy is not None else "",
        blake.hexdigest() if blake is not None else "",
    )


def _folder_steps(path: Path) -> Iterator[int | Hashes]:
    """As `bases.hashing.hash_base`, with a word between."""
    total, read = hashlib.sha256(), 0
    for file in weight_files(path):
        own = hashlib.sha256()
        with file.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                own.update(chunk)
                read += len(chunk)
                if read % _SAID == 0:
                    yield read
        total.update(file.relative_to(path).as_posix().encode())
        total.update(own.digest())
    yield Hashes(total.hexdigest())


def _short_hash(window: bytes) -> str:
    """Eight digits; "" for the window of a smaller file, for of those all have the same."""
    return hashlib.sha256(window).hexdigest()[:8] if window else ""


def _legacy_place(text: bytes, start: int) -> int | None:
    """Where in this file the window lies that sd-scripts hashes: at 1 MiB of the file as it is without all metadata but
    its own; None where it begins inside of such a header."""
    try:
        table: dict[str, Any] = json.loads(text)
        metadata = {key: value for key, value in table.pop("__metadata__", {}).items() if key.startswith("ss_")}
    except (ValueError, AttributeError, RecursionError):
        return None
    if metadata:
        table = {"__metadata__": metadata, **table}
    bare = len(json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))
    before = 8 + bare + -bare % 8
    return start + _BEGIN - before if before <= _BEGIN else None


def _blake3() -> Any:
    """A new BLAKE3, None where that package is not there."""
    try:
        return importlib.import_module("blake3").blake3()
    except ImportError:
        return None
