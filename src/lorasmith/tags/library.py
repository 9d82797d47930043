"""The triggers of the adapters that a user has already (T2): from their headers and the notes beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lorasmith.container import read_container
from lorasmith.errors import ProjectError
from lorasmith.tags.words import split_tags, tag_key

_LARGEST_NOTE = 1 << 20  # bytes
_NOTES = (".json", ".civitai.info")
_FROM_HEADER = ("modelspec.trigger_phrase", "lorasmith.trigger")
_FROM_NOTE = ("activation text", "trainedWords", "trigger_words")


def read_library(folders: Sequence[Path], own: str = "") -> Mapping[str, str]:
    """The name of an adapter by each of the triggers of all adapters in `folders`, at any depth, or files.

    A trigger is the first tag of the header's trigger phrase, of "activation text" in the .json beside the file, or
    of each of the "trainedWords" in its .civitai.info. Adapters of the name `own`, and their snapshots, are the
    project's and left out; so are files that cannot be read.
    """
    known: dict[str, str] = {}
    for file in _files(folders):
        name = file.stem
        if own and (name.casefold() == own.casefold() or name.casefold().startswith(f"{own.casefold()}-")):
            continue
        for phrase in (*_in_header(file), *_in_notes(file)):
            tags = split_tags(phrase)
            if tags and tag_key(tags[0]):
                known.setdefault(tags[0], name)
    return known


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        if folder.is_file():
            yield folder
        else:
            yield from sorted(file for file in folder.rglob("*.safetensors") if file.is_file())


def _in_header(file: Path) -> Iterator[str]:
    try:
        metadata = read_container(file, ProjectError, "an adapter").metadata
    except ProjectError:
        return
    yield from (metadata[key] for key in _FROM_HEADER if metadata.get(key))


def _in_notes(file: Path) -> Iterator[str]:
    for suffix in _NOTES:
        note = _read(file.with_name(file.stem + suffix))
        for key in _FROM_NOTE:
            value = note.get(key)
            yield from (text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))


def _read(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > _LARGEST_NOTE:
            return {}
        note = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}
