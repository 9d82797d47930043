"""Tags that exist already, from any tool, brought to the images that they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.dataset.folders import printable
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError
from lorasmith.events import Note, Progress, Work
from lorasmith.project import Project
from lorasmith.tags.imported import ImportedTags, imported_file, store_imported
from lorasmith.tags.matching import Matcher
from lorasmith.tags.metadata import Entry, Unreadable, read_entries
from lorasmith.tags.refusal import refuse
from lorasmith.tags.words import split_tags

_REPORT_EVERY = 500


@dataclass(frozen=True)
class Imported:
    """What an import found.

    `source`: the name under which it is kept ([tags] `tagger` can name it); `matched`: the images that got tags;
    `captioned`: those of them whose own caption goes before ([tags] `source` = "caption"); `unmatched`: entries that
    mean no image; `ambiguous`: entries that may mean several images, with those; `contradicted`: images of which
    entries that fit equally well say different things, with the places of those; `unreadable`: parts of the source
    that are no entries; `left`: images that got no tags.
    """

    source: str
    matched: tuple[str, ...]
    captioned: tuple[str, ...]
    unmatched: tuple[str, ...]
    ambiguous: Mapping[str, tuple[str, ...]]
    contradicted: Mapping[str, tuple[str, ...]]
    unreadable: tuple[Unreadable, ...]
    left: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The document of an import of tags."""
        return {
            "source": self.source,
            "matched": list(self.matched),
            "captioned": list(self.captioned),
            "unmatched": list(self.unmatched),
            "ambiguous": {key: list(images) for key, images in self.ambiguous.items()},
            "contradicted": {image: list(places) for image, places in self.contradicted.items()},
            "unreadable": [{"where": part.where, "message": part.message} for part in self.unreadable],
            "left": list(self.left),
        }


def import_tags(project: Project, dataset: Dataset, source: Path, encoding: str = "") -> Work[Imported]:
    """Keep the tags of a folder or file (`lorasmith.tags.metadata.read_entries`) for the images that they mean.

    They are stored in the project's ``imported.jsonl``, in the place of an earlier import of the same name; nothing
    of the source is changed. Raises DatasetError when the source cannot be read or means no image at all,
    RefusedError, and StorageError.
    """
    source = source.expanduser()
    name = printable(source.resolve().name)
    matcher = Matcher(dataset.items)
    candidates: dict[str, _Candidates] = {}
    unmatched: list[str] = []
    ambiguous: dict[str, tuple[str, ...]] = {}
    unreadable: list[Unreadable] = []
    for count, entry in enumerate(read_entries(source, encoding), start=1):
        if count % _REPORT_EVERY == 0:
            yield Progress("importing", count, count)
        if isinstance(entry, Unreadable):
            unreadable.append(entry)
            continue
        refuse((*split_tags(entry.tags or ""), entry.sentence or ""), entry.where)
        items, fit = matcher.find(entry.image)
        if not items:
            unmatched.append(entry.image)
        elif len({item.facts.sha256 for item in items}) > 1:
            ambiguous[entry.image] = tuple(item.name for item in items)
        else:
            for item in items:
                candidates.setdefault(item.name, _Candidates(item)).add(entry, fit)
    kept = {image: found for image, found in candidates.items() if not found.contradicting}
    contradicted = {image: found.places for image, found in candidates.items() if found.contradicting}
    if not kept:
        raise DatasetError(_why_nothing(unmatched, [*ambiguous, *contradicted], unreadable), where=source)
    damaged = store_imported(
        project,
        (
            ImportedTags(found.item.facts.sha256, name, found.entries[0].tags, found.entries[0].sentence)
            for found in kept.values()
        ),
    )
    if damaged:
        file = imported_file(project).name
        yield Note(f"{file}: {damaged} lines cannot be read; they were left as they are.", "warning")
    return Imported(
        source=name,
        matched=tuple(sorted(kept)),
        captioned=tuple(sorted(image for image, found in kept.items() if found.item.caption)),
        unmatched=tuple(unmatched),
        ambiguous=ambiguous,
        contradicted=contradicted,
        unreadable=tuple(unreadable),
        left=tuple(item.name for item in dataset.items if item.name not in kept),
    )


class _Candidates:
    """The entries that fit one image best so far."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.entries: list[Entry] = []
        self._fit = -1

    def add(self, entry: Entry, fit: int) -> None:
        if fit > self._fit:
            self.entries, self._fit = [entry], fit
        elif fit == self._fit:
            self.entries.append(entry)

    @property
    def contradicting(self) -> bool:
        return len({(entry.tags, entry.sentence) for entry in self.entries}) > 1

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(entry.where for entry in self.entries)


def _why_nothing(unmatched: list[str], unclear: list[str], unreadable: list[Unreadable]) -> str:
    if unmatched:
        return f"none of its {len(unmatched)} entries means an image of the dataset, for example {unmatched[0]!r}."
    if unclear:
        return f"it is not clear for any image what is meant, for example {unclear[0]!r}."
    if unreadable:
        return f"no tags in it: {unreadable[0].where}: {unreadable[0].message}"
    return "no tags in it."
