"""The folder of a grid or showcase: known by its record, and never one of the user's own."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from lorasmith.errors import StorageError, UsageError
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.files import write_file

VERSION = 1
_ELSEWHERE = Sentence("Choose another ", Give("name"), " or ", Give("out"), ".")


def find_identity(folder: Path, record: str) -> str | None:
    """The identity of the work in `folder`; None where nothing is yet. Raises UsageError for one with other things."""
    file = folder / record
    try:
        known = json.loads(file.read_text("utf-8")).get("id")
    except (OSError, ValueError, AttributeError):
        known = None
    if isinstance(known, str) and known.isalnum():
        return known
    try:
        taken = not file.exists() and folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
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
