"""Raw tags with their scores, as the tagger gave them: kept for every picture, never edited (T13)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lorasmith.project import Project, write_file

FILE_NAME = "tags.jsonl"
GENERAL, CHARACTER, RATING = 0, 4, 9


@dataclass(frozen=True)
class ScoredTag:
    """One tag of one picture: `category` in the numbers of WD14 taggers, `score` in 0..1."""

    name: str
    category: int
    score: float


@dataclass(frozen=True)
class StoredTags:
    """What one tagger (`tagger`: its name and hash) said of the file with this sha256."""

    sha256: str
    tagger: str
    tags: tuple[ScoredTag, ...]


def read_stored(project: Project) -> Mapping[str, StoredTags]:
    """Stored tags by the pictures' sha256; lines that cannot be read are left out (the tagger makes them anew)."""
    try:
        lines = _file(project).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    stored = (_parse(line) for line in lines)
    return {tags.sha256: tags for tags in stored if tags is not None}


def store(project: Project, new: Iterable[StoredTags]) -> None:
    """Add tags, replacing those of the same pictures. Raises StorageError."""
    known = dict(read_stored(project))
    known.update((tags.sha256, tags) for tags in new)
    write_file(_file(project), "".join(_line(tags) for tags in known.values()))


def _file(project: Project) -> Path:
    return project.cache / FILE_NAME


def _line(stored: StoredTags) -> str:
    tags = [[tag.name, tag.category, round(tag.score, 4)] for tag in stored.tags]
    return json.dumps({"sha256": stored.sha256, "tagger": stored.tagger, "tags": tags}) + "\n"


def _parse(line: str) -> StoredTags | None:
    try:
        values = json.loads(line)
        tags = tuple(ScoredTag(str(name), int(category), float(score)) for name, category, score in values["tags"])
        return StoredTags(str(values["sha256"]), str(values["tagger"]), tags)
    except (ValueError, KeyError, TypeError):
        return None
