"""The library as others ask it: which adapter or base is called so. It never stands in the way: where there is none, or
it cannot be read, it knows nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lorasmith.errors import AdapterError, StorageError
from lorasmith.storage.places import LIBRARY, data_folder

if TYPE_CHECKING:
    from lorasmith.bases.families.family import Family
    from lorasmith.bases.targets import TargetLayer
    from lorasmith.library.entry import LibraryEntry
    from lorasmith.library.index import LibraryIndex

T = TypeVar("T")


class LibraryLookup:
    """The user's library, opened when first asked; made by nobody's asking. Any thread may ask."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._index: LibraryIndex | None = None
        self._lock = threading.Lock()

    def index(self) -> LibraryIndex | None:
        """The library; None where there is none, or it cannot be opened."""
        with self._lock:
            file = self._file or data_folder() / LIBRARY
            try:
                if self._index is None and file.is_file():
                    from lorasmith.library.index import LibraryIndex

                    self._index = LibraryIndex.open(file)
            except (StorageError, OSError):  # not to be read, or in a folder that may not be looked into
                return None
            return self._index

    def _ask(self, question: Callable[[LibraryIndex], T], otherwise: T) -> T:
        """The library's answer; `otherwise` where there is none, or it cannot be read."""
        index = self.index()
        try:
            return otherwise if index is None else question(index)
        except StorageError:
            return otherwise

    def entries(self, name: str, kind: str = "adapter") -> list[LibraryEntry]:
        """The files of this name that are there now; of files with the same bytes one."""
        return self._ask(lambda index: _there(index.find(name, kind)), [])

    def by_hash(self, digits: str, kind: str = "adapter") -> list[LibraryEntry]:
        """The files that are there now of which some hash begins so; of files with the same bytes one."""
        return self._ask(lambda index: _there(index.find_hash(digits, kind)), [])

    def files(self, name: str) -> Sequence[Path]:
        """The adapters' files of this name."""
        return [entry.path for entry in self.entries(name)]

    def triggers(self, path: Path) -> Sequence[str]:
        """The trigger phrases of a file, by its header and its sidecars."""
        entry = self._ask(lambda index: index.entry(path), None)
        return () if entry is None else entry.triggers

    def near(self, name: str) -> Sequence[str]:
        """Names of adapters that are nearly this one."""
        nothing: list[LibraryEntry] = []
        found = self._ask(lambda index: index.near(name), nothing)
        return [entry.name for entry in found if entry.kind == "adapter"]

    def clashes(self, triggers: Iterable[str], own: Path, name: str) -> dict[str, str]:
        """The adapters that have one of these triggers, by the trigger (T2). What lies in the project `own`, and files
        that are called as its adapter or are its snapshots, are no clash."""
        found: dict[str, str] = {}
        for trigger in triggers:
            for entry in self.entries(trigger) if trigger else ():
                called = (entry.name.casefold(), entry.alias.casefold())
                mine = any(each == name.casefold() or each.startswith(f"{name.casefold()}-") for each in called)
                is_trigger = any(_same(phrase, trigger) for phrase in entry.triggers)
                if is_trigger and not mine and not entry.path.is_relative_to(own):
                    found.setdefault(trigger, entry.name)
        return found


def find_known_base(name: str) -> Path | None:
    """Where the base lies that the library knows by this name, alias or hash; None where it knows none, or several."""
    found = LibraryLookup().entries(name, "base")
    return found[0].path if len(found) == 1 else None


def misfit(file: Path, base: Family, layers: Mapping[str, TargetLayer] | None = None) -> str | None:
    """Why an adapter's file does not fit bases of this family, or the base with these layers, by its header; None where
    it fits, or does not tell."""
    from lorasmith.bases.families import FAMILIES
    from lorasmith.library.telling import Teller
    from lorasmith.library.walking import find_one

    found = find_one(file)
    head = None if found is None else Teller().tell(file, found.size)
    if head is None or head.family is None:
        return None
    family = FAMILIES.get(head.family)
    # Several families may be one in other tools' words.
    if family is not None and family.header_facts().version == base.header_facts().version:
        return None if layers is None or family is not base else _missing(file, base, layers)
    return f"{file.name} is for {head.family}, the base is {base}"


def _missing(file: Path, family: Family, layers: Mapping[str, TargetLayer]) -> str | None:
    """Which layers of a file a base of its family lacks."""
    from lorasmith.adapters.spelling.origin import tell_deeper
    from lorasmith.adapters.spelling.sketch import sketch_adapter
    from lorasmith.container import read_container

    header = read_container(file, AdapterError, "an adapter")
    names = family.spellings(layers)
    found = sketch_adapter({key: entry.shape for key, entry in header.tensors.items()}).layers
    unmatched = [name for name in found if name not in names]
    if not unmatched:
        return None
    told = tell_deeper(unmatched, layers, family)
    return f"{file.name}: {len(unmatched)} of its {len(found)} layers are not on the base{f'. {told}' if told else ''}"


def _there(entries: Iterable[LibraryEntry]) -> list[LibraryEntry]:
    found: dict[str, LibraryEntry] = {}
    for entry in entries:
        if entry.state == "here" and entry.path.exists():
            found.setdefault(entry.sha256 or str(entry.id), entry)
    return list(found.values())


def _same(phrase: str, trigger: str) -> bool:
    from lorasmith.library.searching import trigger_keys

    return trigger_keys(trigger)[0] in trigger_keys(phrase)
