"""Marks set on a page's pictures, downloaded from it as JSON: favourites, kept and rejected ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lorasmith.errors import StorageError, UsageError
from lorasmith.generation.grids.page import MARKS
from lorasmith.storage.files import write_file

KIND = "lorasmith marks"
MOST_BYTES = 32 * 2**20
KEPT = ("keep", "favourite")


@dataclass(frozen=True)
class Marks:
    """`of` is the grid or showcase they belong to; `marks` are by picture key."""

    of: str
    marks: Mapping[str, str]

    @property
    def kept(self) -> list[str]:
        """Keys of the favourites and the kept ones."""
        return [key for key, mark in self.marks.items() if mark in KEPT]


def read_marks(path: Path) -> Marks:
    """A file of marks. Raises UsageError when it is none."""
    document = read_record(path)
    marks = document.get("marks")
    is_marks = document.get("kind") == KIND and isinstance(document.get("of"), str) and isinstance(marks, dict)
    if not is_marks or not isinstance(marks, dict) or not all(mark in MARKS for mark in marks.values()):
        raise UsageError("is no file of marks.", where=path, hint="Download one from a grid's page.")
    return Marks(document["of"], dict(marks))


def read_record(path: Path) -> dict[str, Any]:
    """A JSON document from a file. Raises UsageError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"larger than {MOST_BYTES >> 20} MB.", where=path)
        document = json.loads(path.read_text("utf-8"))
    except OSError as fault:
        raise UsageError(f"cannot be read: {fault.strerror}.", where=path) from None
    except (ValueError, RecursionError):
        raise UsageError("is not JSON.", where=path) from None
    if not isinstance(document, dict):
        raise UsageError("is not a JSON object.", where=path)
    return document


def find_folder(marks: Marks, roots: list[Path], record: str) -> Path:
    """The folder among `roots`, and the folders in them, whose `record` file has these marks' id."""
    for root in roots:
        for file in (root / record, *sorted(root.glob(f"*/{record}"))):
            if file.is_file() and read_record(file).get("id") == marks.of:
                return file.parent
    hint = "Name the folder that its page lies in."
    raise UsageError(f"{', '.join(map(str, roots))}: none of these is what was marked ({marks.of}).", hint=hint)


def copy_kept(marks: Marks, folder: Path, record: str, out: Path) -> list[tuple[Path, Path]]:
    """Copy the kept pictures to `out`, recipes inside; (from, to) of each. One of the same name is kept as it is.

    Raises UsageError for marks of another grid or a record that leads out of its folder, StorageError.
    """
    document = read_record(folder / record)
    if document.get("id") != marks.of:
        raise UsageError(f"the marks are of another one ({marks.of}).", where=folder)
    paths: dict[str, Path] = {}
    for cell in document.get("cells", []):
        if isinstance(cell, dict) and isinstance(cell.get("key"), str) and isinstance(cell.get("path"), str):
            paths[cell["key"]] = _inside(folder, cell["path"])
    unknown = [key for key in marks.kept if key not in paths]
    if unknown:
        raise UsageError(f"{unknown[0]}: no picture of this grid.", where=folder / record)
    copies = []
    for key in marks.kept:
        target = out / paths[key].name
        if not target.exists():
            write_file(target, _read(paths[key]))
        copies.append((paths[key], target))
    return copies


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise StorageError(f"cannot be read: {fault.strerror}.", where=path) from fault


def _inside(folder: Path, text: str) -> Path:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f'"{text}" leads out of the folder.', where=folder)
    return folder / path
