"""The folder of a grid or showcase: known by its record, never one of the user's own, and of one process at a time."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lorasmith.errors import StorageError, UsageError
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.files import remove_all_left_partials, write_file
from lorasmith.storage.locks import alone

VERSION = 1
_LOCK = ".lock"
_ELSEWHERE = Sentence("Choose another ", Give("name"), " or ", Give("out"), ".")


def find_identity(folder: Path, record: str) -> str | None:
    """The identity of the work in `folder`; None where nothing is yet but what a killed process left, or other hidden
    files. Raises UsageError for one with other things."""
    file = folder / record
    try:
        known = json.loads(file.read_text("utf-8")).get("id")
    except (OSError, ValueError, AttributeError):
        known = None
    if isinstance(known, str) and known.isalnum():
        return known
    try:
        taken = not file.exists() and folder.exists() and (not folder.is_dir() or any(_shown(folder)))
    except OSError as fault:
        raise StorageError(f"cannot be read: {fault.strerror}.", where=folder) from fault
    if taken:
        raise UsageError(f"holds other things, and no {record}.", where=folder, remedy=_ELSEWHERE)
    return None


def claim_folder(folder: Path, record: str) -> str:
    """The identity of the work in `folder`, from its `record` file, which is made when there is none.

    The identity names it in marks, whatever is drawn later. Raises UsageError, StorageError.
    """
    identity = find_identity(folder, record)
    if identity is None:
        identity = secrets.token_hex(6)
        write_file(folder / record, json.dumps({"version": VERSION, "id": identity}) + "\n")
    return identity


@contextmanager
def working_in(folder: Path, record: str) -> Iterator[str]:
    """Inside, no other process draws into `folder`, which is claimed; its identity. Raises UsageError, and
    StorageError, which names the process that draws there."""
    find_identity(folder, record)
    with alone(folder / _LOCK, "draws into this folder"):
        identity = claim_folder(folder, record)
        for each in (folder, *(path for path in folder.iterdir() if path.is_dir())):
            remove_all_left_partials(each)
        yield identity


def _shown(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))
