"""A project: `lora.toml` and where things lie on disk. Knows the tables' names, not what is in them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from lorasmith.errors import ProjectError, StorageError, did_you_mean
from lorasmith.schema import TableModel, read_table

FILE_NAME = "lora.toml"
EMBEDDED = "doodle"
"""The name of the base model that comes with the package."""
TABLES = ("lora", "dataset", "tags", "recipe", "exam", "provenance")


class SubjectKind(StrEnum):
    """What is learnt (domain.md, Words)."""

    CHARACTER = "character"
    COUPLE = "couple"
    BACKGROUND = "background"
    ASSET = "asset"
    CLOTHING = "clothing"
    POSE = "pose"
    CONCEPT = "concept"
    STYLE = "style"


class LoraTable(TableModel):
    """[lora]: the three things that define a LoRA, and its trigger (T1, T2)."""

    name: str
    subject: SubjectKind
    trigger: str
    vision: str = ""
    base: str = EMBEDDED


class ProvenanceTable(TableModel):
    """[provenance]: where the images come from; of real people also their consent."""

    source: str = ""
    author: str = ""
    licence: str = ""
    real_person: bool = False
    consent: str = ""


@dataclass(frozen=True)
class Project:
    """A folder with a `lora.toml`. Paths are absolute; nothing is created by asking for one."""

    root: Path
    lora: LoraTable
    provenance: ProvenanceTable
    tables: Mapping[str, Mapping[str, Any]]

    @property
    def file(self) -> Path:
        return self.root / FILE_NAME

    @property
    def cache(self) -> Path:
        """Deletable: index, fingerprints, raw tags, latents."""
        return self.root / ".lorasmith"

    @property
    def built_dataset(self) -> Path:
        return self.root / "build" / "dataset"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def exams(self) -> Path:
        return self.root / "exams"

    def table(self, name: str) -> Mapping[str, Any]:
        """The raw values of one table; empty when the file does not have it."""
        return self.tables.get(name, {})

    def where(self, table: str) -> str:
        """How messages name a table: ``my-lora/lora.toml: [recipe]``."""
        return f"{self.file}: [{table}]"


def open_project(path: Path | str) -> Project:
    """Read the project at `path` (its folder, or its lora.toml). Raises ProjectError."""
    given = Path(path)
    root = given.parent if given.name == FILE_NAME else given
    file = root / FILE_NAME
    if not root.exists():
        raise ProjectError(
            "no such folder.", where=root, hint="Make a project with: lorasmith new FOLDER --images IMAGES"
        )
    if not file.is_file():
        raise ProjectError(f"no {FILE_NAME} in this folder.", where=root, hint=f"Make one with: lorasmith new {root}")
    values = _read_toml(file)
    for name in values:
        if name not in TABLES:
            hint = did_you_mean(name, TABLES) or f"Known tables: {', '.join(TABLES)}."
            raise ProjectError(f"[{name}]: unknown table.", where=file, hint=hint)
    return Project(
        root=root.resolve(),
        lora=read_table(LoraTable, values.get("lora", {}), where=f"{file}: [lora]"),
        provenance=read_table(ProvenanceTable, values.get("provenance", {}), where=f"{file}: [provenance]"),
        tables=values,
    )


def _read_toml(file: Path) -> dict[str, dict[str, Any]]:
    try:
        values = tomlkit.parse(file.read_text("utf-8")).unwrap()
    except UnicodeDecodeError as fault:
        raise ProjectError(f"not UTF-8 text ({fault.reason} at byte {fault.start}).", where=file) from None
    except TOMLKitError as fault:
        raise ProjectError(f"not valid TOML: {fault}.", where=file) from None
    for name, table in values.items():
        if not isinstance(table, dict):
            raise ProjectError(f"{name} = {table!r}: stands outside a table.", where=file, hint="Put it below [lora].")
    return values


def safe_name(text: str) -> str:
    """A file-name-safe form of `text`: letters, digits, dot, dash and underscore; never empty, never hidden."""
    return re.sub(r"[^\w.-]+", "_", text, flags=re.UNICODE).strip("._") or "unnamed"


def write_file(path: Path, data: bytes | str) -> Path:
    """Write a whole file or nothing: to a neighbour first, flushed, then renamed over. Raises StorageError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as out:
            out.write(data.encode("utf-8") if isinstance(data, str) else data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, path)
    except OSError as fault:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise StorageError(
            f"cannot write: {fault.strerror}.",
            where=path,
            hint="Free some space or choose another folder, then resume.",
        ) from fault
    return path
