"""`adapters.json` beside the adapters of a store: their names, files, sizes and hashes, so that nothing is listed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lorasmith.errors import StorageError
from lorasmith.storage.files import write_file

FILE_NAME = "adapters.json"
VERSION = 1
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class StoredFile:
    """An adapter in a store: its name in prompts, its file below the store's URL. `version` changes when the file
    does; `sha256` (64 hex digits) where a manifest gives it."""

    name: str
    file: str
    bytes: int
    version: str
    sha256: str | None = None
    trigger: str = ""


def is_inside(file: str) -> bool:
    """Whether a file's name leads to something below the store, and nowhere else."""
    parts = PurePosixPath(file).parts
    return bool(parts) and not file.startswith("/") and ".." not in parts and "\\" not in file and "\0" not in file


def read_manifest(data: bytes, where: str) -> Mapping[str, StoredFile]:
    """The adapters of a manifest by name. Raises StorageError for what is none."""
    try:
        read = json.loads(data)
        found: dict[str, StoredFile] = {}
        for number, each in enumerate(read["adapters"]):
            stored = _entry(each)
            if not is_inside(stored.file):
                raise StorageError(f'adapter {number}: file "{stored.file}" lies outside of the store.', where=where)
            found[stored.name] = stored
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise StorageError(
            f"is no manifest of adapters: {fault}.", where=where, hint="Write it again, or take it away."
        ) from None
    return found


def write_manifest(folder: Path) -> Path:
    """Write the manifest of a folder of adapters that is to be copied into a store. Raises StorageError."""
    adapters = []
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        file = path.relative_to(folder).as_posix()
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        adapters.append(
            {"name": file.removesuffix(SUFFIX), "file": file, "bytes": path.stat().st_size, "sha256": digest}
        )
    return write_file(folder / FILE_NAME, json.dumps({"version": VERSION, "adapters": adapters}))


def _entry(each: Mapping[str, Any]) -> StoredFile:
    name, sha256 = str(each["name"]), each.get("sha256")
    digest = None if sha256 is None else str(sha256).lower()
    size = int(each["bytes"])
    version = digest or str(each.get("version", size))
    return StoredFile(name, str(each.get("file", name + SUFFIX)), size, version, digest, str(each.get("trigger", "")))
