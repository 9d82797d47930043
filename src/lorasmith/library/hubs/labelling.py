"""Files that nobody labelled: a hub is asked for them by their hashes, many at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorasmith.errors import StorageError
from lorasmith.events import Note, Progress, Work, eta
from lorasmith.library.entry import Filters, HubFacts, LibraryEntry
from lorasmith.library.hashing import hash_pending
from lorasmith.library.hubs.civitai import MOST_HASHES, Civitai
from lorasmith.library.hubs.fetching import fetch_preview, write_sidecars
from lorasmith.library.hubs.hub import HubVersion
from lorasmith.library.hubs.looking import may_show
from lorasmith.library.index import LibraryIndex
from lorasmith.library.patience import PATIENCE

STAGE = "asking"
ASK_AGAIN = 30 * 86400.0
"""Seconds after which a file that the hub did not know is asked for again."""


MOST_PAYLOADS = 100
"""Adapters that are asked for once more by their weights alone, a request each, where no more are left."""


@dataclass(frozen=True)
class Labelling:
    """What is done with what a hub knows: `sidecars` beside the files, `previews` too, mature ones if asked for."""

    sidecars: bool = True
    previews: bool = False
    mature: bool = False


@dataclass
class Labelled:
    """How many were asked for and known, and which file is what; `refused` ones are told nothing of."""

    asked: int = 0
    unknown: int = 0
    refused: int = 0
    mature: int = 0
    found: list[tuple[Path, HubVersion]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "asked": self.asked,
            "known": len(self.found),
            "unknown": self.unknown,
            "refused": self.refused,
            "mature": self.mature,
            "files": [
                {
                    "path": str(path),
                    "reference": version.reference,
                    "name": version.name,
                    "version": version.version,
                    "base": version.base,
                    "triggers": list(version.triggers),
                }
                for path, version in self.found
            ],
        }


def label_files(
    index: LibraryIndex,
    hub: Civitai,
    options: Labelling | None = None,
    *,
    entries: Sequence[LibraryEntry] | None = None,
    again: bool = False,
) -> Work[Labelled]:
    """Ask for all files without a label, or for `entries`; `again` asks for those that the hub did not know, too.

    Adapters whose bytes it does not know are asked for by their weights, where they are few: a header that was edited
    since changes a file's SHA256 and AutoV2, not its AutoV3.

    Every answer is kept at once: what is stopped goes on where it was. Files are hashed first where they are not.
    Raises HubError, StorageError.
    """
    chosen = options or Labelling()
    yield from hash_pending(index, PATIENCE)
    waiting = [entry for entry in _unlabelled(index, entries) if again or _is_due(entry)]
    labelled, edited = Labelled(), list[LibraryEntry]()
    began = time.monotonic()
    for start in range(0, len(waiting), MOST_HASHES):
        part = waiting[start : start + MOST_HASHES]
        versions = yield from hub.find_hashes([entry.sha256 for entry in part])
        for entry in part:
            yield from _label(index, hub, entry, versions.get(entry.sha256), chosen, labelled)
            if entry.sha256 not in versions and entry.kind == "adapter" and entry.payload:
                edited.append(entry)
        done = start + len(part)
        yield Progress(STAGE, done, len(waiting), eta(began, done, len(waiting)))
    yield from _label_by_weights(index, hub, edited if len(edited) <= MOST_PAYLOADS else [], chosen, labelled)
    if (labelled.found or labelled.mature) and (chosen.sidecars or chosen.previews):
        yield from index.scan(hashes=False)  # what stands beside the files now
    return labelled


def _label_by_weights(
    index: LibraryIndex, hub: Civitai, entries: Sequence[LibraryEntry], options: Labelling, labelled: Labelled
) -> Work[None]:
    """Ask for files that the hub did not know by what lies behind their headers."""
    began = time.monotonic()
    for done, entry in enumerate(entries, 1):
        version = yield from hub.find_payload(entry.payload)
        if version is not None:
            labelled.asked -= 1
            labelled.unknown -= 1
            yield from _label(index, hub, entry, version, options, labelled)
        yield Progress(STAGE, done, len(entries), eta(began, done, len(entries)))


def _unlabelled(index: LibraryIndex, entries: Sequence[LibraryEntry] | None) -> list[LibraryEntry]:
    """Files that are here, have a hash and no label; of equal ones all."""
    if entries is None:
        every = [entry for kind in ("adapter", "base") for entry in index.every(Filters(kind=kind, unlabelled=True))]
    else:
        every = [found for entry in entries if (found := index.entry(entry.path)) is not None]
    return [entry for entry in every if entry.sha256 and entry.state == "here"]


def _is_due(entry: LibraryEntry) -> bool:
    return entry.hub is None or time.time() - entry.hub.asked > ASK_AGAIN


def _label(
    index: LibraryIndex,
    hub: Civitai,
    entry: LibraryEntry,
    version: HubVersion | None,
    options: Labelling,
    labelled: Labelled,
) -> Work[None]:
    now = time.time()
    labelled.asked += 1
    if version is None or not may_show(version.words):
        labelled.unknown += version is None
        labelled.refused += version is not None
        index.set_hub(entry, HubFacts("", "", asked=now))
        return
    labelled.mature += version.mature
    if options.sidecars:
        try:
            write_sidecars(entry.path, version, entry.sha256)
        except StorageError as fault:
            yield Note(str(fault), "warning")
    index.set_hub(entry, version.facts(now))
    if options.previews and entry.preview is None and (options.mature or not version.mature):
        yield from fetch_preview(hub, version, entry.path, options.mature)
    if entry.folder is None and (options.sidecars or options.previews):  # no scan comes by there
        index.add_file(entry.path)
    if options.mature or not version.mature:
        labelled.found.append((entry.path, version))
