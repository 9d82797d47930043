"""What has become of files from hubs: newer versions, and models that are not there any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lorasmith.events import Progress, Work, eta
from lorasmith.library.entry import Filters, HubFacts, LibraryEntry
from lorasmith.library.hubs.civitai import MOST_MODELS, open_civitai
from lorasmith.library.hubs.hub import Hub, HubModel, HubVersion
from lorasmith.library.hubs.huggingface import open_hugging_face
from lorasmith.library.hubs.looking import may_show
from lorasmith.library.hubs.references import CIVITAI, HUGGING_FACE
from lorasmith.library.index import LibraryIndex

STAGE = "asking"
RECENT = 12 * 3600.0
"""Seconds for which an answer is believed."""
OPENERS: Mapping[str, Callable[[], Hub]] = {CIVITAI: open_civitai, HUGGING_FACE: open_hugging_face}
_TOGETHER = {CIVITAI: MOST_MODELS, HUGGING_FACE: 1}
"""Models in one request."""


@dataclass(frozen=True)
class Newer:
    """A file with a newer version of it; `same_base` when that is for the same kind of base."""

    path: Path
    facts: HubFacts
    version: HubVersion
    same_base: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "name": self.facts.name,
            "version": self.facts.version,
            "newer": self.version.version,
            "reference": self.version.reference,
            "base": self.version.base,
            "same_base": self.same_base,
            "published": self.version.published,
            "guarded": self.version.guarded,
            "page": self.version.page,
        }


@dataclass
class Update:
    """What was asked for, what is newer, and files whose model the hub has no more."""

    asked: int = 0
    newer: list[Newer] = field(default_factory=list)
    gone: list[tuple[Path, HubFacts]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        gone = [{"path": str(path), "name": facts.name, "page": facts.page} for path, facts in self.gone]
        return {"asked": self.asked, "newer": [each.as_json() for each in self.newer], "gone": gone}


def look_for_newer(
    index: LibraryIndex, *, again: bool = False, entries: Sequence[LibraryEntry] | None = None
) -> Work[Update]:
    """Ask the hubs for newer versions of what came from there; what was asked for within half a day is not asked for
    `again`, so that what is stopped goes on where it was. Raises HubError, StorageError."""
    update = Update()
    labelled = [entry for entry in _labelled(index, entries) if again or _is_due(entry)]
    began = time.monotonic()
    done = 0
    for source, opener in OPENERS.items():
        models: dict[str, list[LibraryEntry]] = {}
        for entry in labelled:
            if entry.hub is not None and entry.hub.source == source:
                models.setdefault(entry.hub.model_id, []).append(entry)
        if not models:
            continue
        with opener() as hub:
            for part in _parts(list(models), _TOGETHER[source]):
                found = yield from hub.read_models(part)
                for model_id in part:
                    for entry in models[model_id]:
                        _tell(index, entry, found.get(model_id), update)
                        done += 1
                yield Progress(STAGE, done, len(labelled), eta(began, done, len(labelled)))
    return update


def _labelled(index: LibraryIndex, entries: Sequence[LibraryEntry] | None) -> Iterator[LibraryEntry]:
    if entries is not None:
        yield from entries
        return
    for kind in ("adapter", "base"):
        for source in OPENERS:
            yield from list(index.every(Filters(kind=kind, source=source)))


def _is_due(entry: LibraryEntry) -> bool:
    return entry.hub is not None and time.time() - entry.hub.asked > RECENT


def _parts(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _tell(index: LibraryIndex, entry: LibraryEntry, model: HubModel | None, update: Update) -> None:
    facts = entry.hub
    if facts is None:
        return
    update.asked += 1
    if model is None:
        update.gone.append((entry.path, facts))
        index.set_hub(entry, replace(facts, asked=time.time()))
        return
    version = newest_after(model, facts, entry.sha256)
    index.set_hub(entry, replace(facts, newer=version.version_id if version else "", asked=time.time()))
    if version is not None:
        update.newer.append(Newer(entry.path, facts, version, version.base == facts.base))


def newest_after(model: HubModel, facts: HubFacts, sha256: str) -> HubVersion | None:
    """The newest version after the one that is here: for the same base where there is one, else for another; None when
    it is the newest itself. A version that still has this very file is no newer one."""
    versions = [each for each in model.versions if may_show(each.words)]
    if any(sha256 and sha256 == file.sha256 for file in versions[0].files) if versions else True:
        return None
    ours = next((each for each in versions if each.version_id == facts.version_id), None)
    later = versions
    if ours is not None:
        place = versions.index(ours)
        later = [
            each
            for number, each in enumerate(versions)
            if each.published > ours.published or (each.published == ours.published and number < place)
        ]
    same = [each for each in later if each.base == (ours.base if ours is not None else facts.base)]
    return next(iter(same or later), None)
