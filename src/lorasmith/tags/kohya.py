"""Captions and metadata files as kohya's tagger writes them, from the stored scores: to the byte, with its oddities.

What the documentation promises is what captions are by themselves; this is for those whose training must see the
same captions as before. Where the two differ:

- underscores become spaces in tags of more than three letters only, whatever face the letters make;
- undesired tags are compared exactly, in the form that the underscores' rule leaves, case and all;
- a replacement counts for the first tag of that name;
- general tags come in the order of the tagger's list, then the characters, whatever the scores;
- tags that shall be first are only moved if the tagger gave them, one by one to the front, so that their order comes
  out reversed; " b" of "a, b" is not "b", and never found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError, UsageError
from lorasmith.project import Project
from lorasmith.remedies import Action, Do
from lorasmith.storage.files import write_file
from lorasmith.tags.categories import CHARACTER, GENERAL
from lorasmith.tags.raw import read_raw_tags
from lorasmith.tags.refusal import refuse_images
from lorasmith.tags.settings import TagsTable, read_settings
from lorasmith.tags.store import is_called, read_stored, read_vocabulary

SEPARATOR = ", "
METADATA = (".json", ".jsonl")
_SHORT = 3
"""Tags of so many letters keep their underscores."""


def compute_as_kohya(project: Project, dataset: Dataset) -> Mapping[str, str]:
    """The captions by `Item.name`, from the stored tagger's scores and [tags]: `threshold`, `character_threshold`,
    `aliases` (its replacements), `undesired`, the rule underscores (unless off), and the trigger as its first tags.

    Raises DatasetError for images that no tagger has seen; RefusedError.
    """
    settings = read_settings(project)
    vocabulary = read_vocabulary(project, settings.tagger)
    stored = read_stored(project)
    first = [tag for tag in project.lora.trigger.split(SEPARATOR.strip()) if tag.strip()]
    names = _names(vocabulary, settings)
    captions: dict[str, str] = {}
    for item in dataset.items:
        said = (*stored.get(item.content, ()), *stored.get(item.facts.sha256, ()))
        tags = next((one for one in said if not settings.tagger or is_called(one.tagger, settings.tagger)), None)
        if tags is None:
            tag = Do(Action.TAG, tagger="NAME")
            raise DatasetError("no tagger has seen it.", where=item.name, hint="Tag first:", remedy=tag)
        scores = {(tag.name, tag.category): tag.score for tag in tags.tags}
        captions[item.name] = SEPARATOR.join(_arrange(scores, names, settings, first))
    raw = read_raw_tags(project, dataset)
    texts = {name: (*of.tags, *of.ratings, captions[name]) for name, of in raw.items()}
    refuse_images(texts, (), project.root)
    return captions


def write_metadata(target: Path, dataset: Dataset, captions: Mapping[str, str]) -> Path:
    """Write the captions to a metadata file for fine-tuning, in place of the one that is there.

    .json: one table of ``{path: {"tags", "image_size"}}``; .jsonl: ``{"image_path", "caption", "image_size"}`` a line.
    Paths are absolute, sizes [width, height]. Raises UsageError for another extension, StorageError.
    """
    kind = target.suffix.lower()
    if kind not in METADATA:
        raise UsageError(f"{target.name}: not a metadata file.", hint=f"Its name ends with {' or '.join(METADATA)}.")
    if kind == ".json":
        table = {str(item.path): {"tags": captions[item.name], "image_size": _size(item)} for item in dataset.items}
        return write_file(target, _as_utf8(json.dumps(table, ensure_ascii=False, indent=4)))
    lines = (_line(item, captions[item.name]) for item in dataset.items)
    return write_file(target, _as_utf8("".join(lines)))


def _as_utf8(text: str) -> bytes:
    """JSON in UTF-8. A byte of a file's name that is none is written as JSON's own escape (\\udcff), which Python's
    readers turn into the same name again."""
    return text.encode("utf-8", "backslashreplace")


def _line(item: Item, caption: str) -> str:
    entry: dict[str, Any] = {"image_path": str(item.path), "caption": caption, "image_size": _size(item)}
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _size(item: Item) -> list[int]:
    return [item.facts.width, item.facts.height]


def _names(vocabulary: Mapping[str, int], settings: TagsTable) -> Sequence[tuple[str, int, str]]:
    """(stored name, category, name in captions) of the tags wanted, general ones first, else in the tagger's order."""
    spaced = "underscores" not in settings.off
    general = [(name, kind, _spell(name, spaced)) for name, kind in vocabulary.items() if kind == GENERAL]
    characters = [(name, kind, _spell(name, spaced)) for name, kind in vocabulary.items() if kind == CHARACTER]
    names = [*general, *characters]
    for source, target in settings.aliases.items():
        place = next((place for place, (_, _, shown) in enumerate(names) if shown == source), None)
        if place is not None:
            names[place] = (*names[place][:2], target)
    undesired = {tag.strip() for tag in settings.undesired}
    return [name for name in names if name[2] not in undesired]


def _spell(name: str, spaced: bool) -> str:
    return name.replace("_", " ") if spaced and len(name) > _SHORT else name


def _arrange(
    scores: Mapping[tuple[str, int], float],
    names: Sequence[tuple[str, int, str]],
    settings: TagsTable,
    first: Sequence[str],
) -> list[str]:
    tags = [
        shown
        for name, kind, shown in names
        if (score := scores.get((name, kind))) is not None
        and score >= (settings.character_threshold if kind == CHARACTER else settings.threshold)
    ]
    for tag in first:
        if tag in tags:
            tags.remove(tag)
            tags.insert(0, tag)
    return tags
