"""Tags that the user brought in: kept in the project beside `lora.toml`, not in the cache, since no program can make
them again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.errors import StorageError
from lorasmith.project import Project
from lorasmith.storage.files import write_file

FILE_NAME = "imported.jsonl"


@dataclass(frozen=True)
class ImportedTags:
    """What the import `source` (its file's or folder's name) says of the picture with this sha256: `tags` as one
    comma-separated text, `sentence` a description in words; either may be None."""

    sha256: str
    source: str
    tags: str | None
    sentence: str | None

    def is_called(self, name: str) -> bool:
        """Whether `name` is its source, with or without the extension, in any case."""
        source = self.source.casefold()
        return name.casefold() in (source, source.rpartition(".")[0])


def read_imported(project: Project) -> Mapping[str, tuple[ImportedTags, ...]]:
    """Imports by the pictures' sha256; of several, the latest comes first. Damaged lines are left out."""
    found: dict[str, tuple[ImportedTags, ...]] = {}
    for line in _lines(project):
        imported = _parse(line)
        if imported is not None:
            found[imported.sha256] = (imported, *found.get(imported.sha256, ()))
    return found


def store_imported(project: Project, new: Iterable[ImportedTags]) -> int:
    """Keep imports, in the place of those of the same picture and source, as the latest.

    Gives the number of lines that cannot be read: they stay in the file as they are. Raises StorageError.
    """
    fresh = {(imported.sha256, imported.source): imported for imported in new}
    kept: list[str] = []
    damaged = 0
    for line in _lines(project):
        imported = _parse(line)
        damaged += imported is None
        if imported is None or (imported.sha256, imported.source) not in fresh:
            kept.append(line)
    text = "".join(f"{line}\n" for line in (*kept, *map(_line, fresh.values())))
    write_file(imported_file(project), text.encode("utf-8", "surrogateescape"))
    return damaged


def imported_file(project: Project) -> Path:
    """Where imports are kept: ``imported.jsonl`` in the project's folder."""
    return project.root / FILE_NAME


def _lines(project: Project) -> list[str]:
    """The file's lines; surrogates stand for what is not UTF-8, so that nothing is lost in rewriting."""
    file = imported_file(project)
    try:
        text = file.read_text("utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return []
    except OSError as fault:
        raise StorageError(f"cannot be read: {fault.strerror}.", where=file) from None
    return [line for line in text.split("\n") if line.strip()]


def _line(imported: ImportedTags) -> str:
    values: dict[str, str] = {"image": imported.sha256, "source": imported.source}
    if imported.tags is not None:
        values["tags"] = imported.tags
    if imported.sentence is not None:
        values["sentence"] = imported.sentence
    return json.dumps(values, ensure_ascii=False)


def _parse(line: str) -> ImportedTags | None:
    try:
        values: Any = json.loads(line)
        imported = ImportedTags(values["image"], values["source"], values.get("tags"), values.get("sentence"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    texts = (imported.tags, imported.sentence)
    is_whole = isinstance(imported.sha256, str) and isinstance(imported.source, str)
    return imported if is_whole and all(text is None or isinstance(text, str) for text in texts) else None
