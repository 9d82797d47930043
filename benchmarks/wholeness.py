"""Whether everything in a folder can be read: what a killed process, or a full disk, must not leave half written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from PIL import Image
from safetensors import safe_open

GROWING = (".jsonl", ".log")
"""Files that a living process adds lines to: their last line may be on its way until the next command has run."""


def find_half(folder: Path, *, settled: bool = True) -> list[str]:
    """What below `folder` cannot be read, or is neither here nor there, and why. Unless things are `settled` (the next
    command has run), files that grow and those that wait to be moved do not count. Partials never count: they have
    names that nobody reads."""
    return [f"{path.relative_to(folder)}: {why}" for path in files_of(folder) if (why := _fault(path, settled))]


def files_of(folder: Path) -> Iterator[Path]:
    """All files but partials."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(_is_partial(part) for part in path.relative_to(folder).parts):
            yield path


def count_partials(folder: Path) -> int:
    """Files and folders that processes which ended left beside their places."""
    return sum(_is_partial(path.name) for path in folder.rglob("*"))


def digests(folder: Path) -> Mapping[str, str]:
    """The sha256 of every file below a folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files_of(folder)}


def _is_partial(name: str) -> bool:
    return name.startswith(".") and name.endswith(".partial")


def _fault(path: Path, settled: bool) -> str:
    if not settled and (path.suffix in GROWING or ".arriving" in path.parts):
        return ""
    if ".arriving" in path.parts:
        return "has not been moved to its place"
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return ""
    try:
        reader(path)
    except Exception as fault:  # any fault at all is what is looked for
        return f"{type(fault).__name__}: {fault}"
    return ""


def _read_lines(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        json.loads(line)


def _read_image(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _read_tensors(path: Path) -> None:
    with safe_open(os.fspath(path), "numpy") as file:
        for name in file.keys():  # noqa: SIM118
            file.get_slice(name).get_shape()


def _read_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        said = db.execute("pragma quick_check").fetchone()[0]
    if said != "ok":
        raise ValueError(said)


_READERS: Mapping[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_bytes()),
    ".jsonl": _read_lines,
    ".toml": lambda path: tomllib.loads(path.read_text("utf-8")),
    ".png": _read_image,
    ".jpg": _read_image,
    ".safetensors": _read_tensors,
    ".db": _read_database,
    ".sqlite": _read_database,
}
