"""Where made pictures come from: `made/lineage.jsonl`, one line a picture, only ever added to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorasmith.project import Project
from lorasmith.storage.files import append_lines

FILE_NAME = "lineage.jsonl"


@dataclass(frozen=True)
class Lineage:
    """How a picture was made: `operation` with its `parameters` (JSON-ready) on the pictures with the sha256
    `sources`, by `seed`. `parameters` make the same picture again."""

    operation: str
    sources: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    seed: int = 0


def read_lineage(project: Project) -> Mapping[str, Lineage]:
    """The lineage of made pictures by their sha256; of several lines on one picture the last. Lines that cannot be
    read are left out: their pictures count as ordinary ones."""
    try:
        lines = _file(project).read_bytes().split(b"\n")
    except OSError:
        return {}
    return dict(entry for entry in map(_parse, lines) if entry is not None)


def add_lineage(project: Project, picture: str, lineage: Lineage) -> None:
    """Remember how the picture with the sha256 `picture` was made. Raises StorageError."""
    values = {
        "image": picture,
        "operation": lineage.operation,
        "sources": list(lineage.sources),
        "parameters": dict(lineage.parameters),
        "seed": lineage.seed,
    }
    append_lines(_file(project), [json.dumps(values, ensure_ascii=False)])


def _file(project: Project) -> Path:
    return project.made / FILE_NAME


def _parse(line: bytes) -> tuple[str, Lineage] | None:
    try:
        values = json.loads(line.decode("utf-8"))
        sources = tuple(str(source) for source in values["sources"])
        return str(values["image"]), Lineage(
            str(values["operation"]), sources, dict(values["parameters"]), int(values["seed"])
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
