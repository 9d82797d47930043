"""A file of the library, as everybody sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["adapter", "base", "other"]
State = Literal["here", "gone", "away"]
"""`gone`: its folder is there, the file is not. `away`: the folder cannot be reached now. Neither is forgotten."""


@dataclass(frozen=True)
class HubFacts:
    """What a hub says of a file. `source` is "civitai" or "huggingface"; ids are texts (an hf one is OWNER/NAME, its
    version a commit). `newer` is a later version's id, as far as was asked at `asked`, seconds since the epoch."""

    source: str
    model_id: str
    version_id: str = ""
    name: str = ""
    version: str = ""
    creator: str = ""
    base: str = ""
    licence: str = ""
    page: str = ""
    mature: bool = False
    newer: str = ""
    asked: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self)) | {"more": dict(self.more)}


@dataclass(frozen=True)
class LibraryEntry:
    """A file that the library knows. Hashes are lower-case hexadecimal digits, "" until they are told.

    `name` is what calls it (its stem, to be shown), `alias` the name that its header records. `sha256` is of the whole
    file; `autov1` of 64 KiB at 1 MiB (8 digits); `payload` of all behind the header, which is AutoV3 (12 digits) and
    what A1111's infotexts say; `recorded` what the header claims that to be; `addnet` sd-scripts' legacy hash.
    `family` is a family's name, or the header's word for one that is not known; None with the `reason` where nothing
    tells. `triggers` are phrases; `tags` the training captions' with their counts, most frequent first. `facts` are of
    the training, `exam` the figures of the last exam of an own adapter. `problem` says why a file cannot be used.
    `notes`, `rating` (1 to 5), `favourite` and `collections` are the user's.
    """

    id: int
    path: Path
    folder: Path | None
    name: str
    kind: Kind
    state: State
    size: int
    changed: float
    added: float
    alias: str = ""
    title: str = ""
    sha256: str = ""
    autov1: str = ""
    payload: str = ""
    recorded: str = ""
    addnet: str = ""
    blake3: str = ""
    family: str | None = None
    reason: str = ""
    algorithms: tuple[str, ...] = ()
    rank: int | None = None
    base: str = ""
    triggers: tuple[str, ...] = ()
    tags: tuple[tuple[str, int], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    preview: Path | None = None
    strength: float | None = None
    exam: Mapping[str, Any] | None = None
    mine: bool = False
    mature: bool = False
    hub: HubFacts | None = None
    sidecars: tuple[str, ...] = ()
    problem: str = ""
    notes: str = ""
    rating: int | None = None
    favourite: bool = False
    collections: tuple[str, ...] = ()

    @property
    def autov2(self) -> str:
        """The first 10 digits of the file's SHA256, as Civitai and A1111 show it for checkpoints."""
        return self.sha256[:10]

    @property
    def autov3(self) -> str:
        """The first 12 digits of the payload's SHA256: what A1111 writes of a LoRA. The header's claim until it is
        told by the file itself."""
        return (self.payload or self.recorded.removeprefix("0x"))[:12]

    @property
    def hashes(self) -> dict[str, str]:
        """The hashes by the names that hubs have for them, those that are told."""
        told = {
            "SHA256": self.sha256,
            "AutoV1": self.autov1,
            "AutoV2": self.autov2,
            "AutoV3": self.autov3,
            "AddNet": self.addnet,
            "BLAKE3": self.blake3,
        }
        return {name: value for name, value in told.items() if value}

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.name,
            "alias": self.alias,
            "title": self.title,
            "path": str(self.path),
            "folder": None if self.folder is None else str(self.folder),
            "kind": self.kind,
            "state": self.state,
            "bytes": self.size,
            "changed": self.changed,
            "added": self.added,
            "hashes": self.hashes,
            "family": self.family,
            "reason": self.reason,
            "algorithms": list(self.algorithms),
            "rank": self.rank,
            "base": self.base,
            "triggers": list(self.triggers),
            "tags": [list(tag) for tag in self.tags],
            "training": dict(self.facts),
            "description": self.description,
            "preview": None if self.preview is None else str(self.preview),
            "strength": self.strength,
            "exam": None if self.exam is None else dict(self.exam),
            "mine": self.mine,
            "mature": self.mature,
            "hub": None if self.hub is None else self.hub.as_json(),
            "sidecars": list(self.sidecars),
            "problem": self.problem,
            "notes": self.notes,
            "rating": self.rating,
            "favourite": self.favourite,
            "collections": list(self.collections),
        }


ORDERS = ("name", "added", "changed", "size", "rating")
"""What a list may be ordered by: names from a on, all else from the newest, the largest, the best."""


@dataclass(frozen=True)
class Filters:
    """Which entries are meant: all of these must hold. `words` are searched for; `trigger`, `tag` and `collection` are
    whole ones. Sizes in bytes. `state` "" means any."""

    words: str = ""
    kind: str = "adapter"
    state: str = "here"
    family: str = ""
    algorithm: str = ""
    trigger: str = ""
    tag: str = ""
    source: str = ""
    collection: str = ""
    folder: str = ""
    smallest: int = 0
    largest: int = 0
    rating: int = 0
    mine: bool = False
    favourite: bool = False
    mature: bool = True
    unlabelled: bool = False
    broken: bool = False


@dataclass(frozen=True)
class Page:
    """A page of entries, and how many there are in all; `more`: at least so many, counting was given up. `refused` are
    those that are not shown, for their names, triggers or tags combine minors with sexual content."""

    entries: tuple[LibraryEntry, ...]
    total: int
    more: bool = False
    refused: int = 0


@dataclass(frozen=True)
class ScanReport:
    """What a scan found: counts of files that are new, changed, moved, gone; of folders that could not be reached, with
    the reason; and of files whose hashes were told now."""

    files: int
    new: int = 0
    changed: int = 0
    moved: int = 0
    gone: int = 0
    broken: int = 0
    hashed: int = 0
    unhashed: int = 0
    away: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self)) | {"away": [{"folder": folder, "reason": reason} for folder, reason in self.away]}
