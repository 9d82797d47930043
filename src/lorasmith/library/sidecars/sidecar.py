"""What a sidecar may say, and the reading and writing of such files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.library.entry import HubFacts
from lorasmith.storage.files import write_file

MAX_BYTES = 10_000_000


@dataclass(frozen=True)
class SidecarFacts:
    """What one or several sidecars say of a file; empty where they say nothing."""

    triggers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    title: str = ""
    base: str = ""
    description: str = ""
    notes: str = ""
    strength: float | None = None
    negative: str = ""
    favourite: bool | None = None
    mature: bool = False
    sha256: str = ""
    autov3: str = ""
    hub: HubFacts | None = None


def read_table(file: Path) -> dict[str, Any] | None:
    """The JSON table in a file; None where it is no such, too large, or cannot be read."""
    try:
        if file.stat().st_size > MAX_BYTES:
            return None
        table = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return table if isinstance(table, dict) else None


def merge_table(file: Path, values: Mapping[str, Any]) -> Path:
    """Write these values into a JSON table; every other key stays as it was, and so does the order. A file that is
    there and is no table is left alone. Raises StorageError."""
    from lorasmith.errors import StorageError

    before = read_table(file)
    if before is None and file.exists():
        raise StorageError("is there, but is no JSON table: it is left as it is.", where=file, hint="Move it away.")
    return write_file(file, json.dumps((before or {}) | dict(values), ensure_ascii=False, indent=4) + "\n")
