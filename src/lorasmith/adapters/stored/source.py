"""Adapters by name for drawing: those of this machine's folders first, then those of stores, then the library's."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.catalogue import Catalogue
from lorasmith.adapters.stored.files import FileCache
from lorasmith.adapters.stored.manifest import StoredFile
from lorasmith.adapters.stored.store import AdapterStore
from lorasmith.errors import AdapterError, PromptError
from lorasmith.storage.lru import ByteLru

if TYPE_CHECKING:
    from lorasmith.adapters.adapter import Adapter
    from lorasmith.bases.text.embeddings import Vocabulary

Version = tuple[str, str]
"""A store's URL with a file in it, and the file's version."""
HASHES_KEPT = 1 << 16
_LOCKS = 64


@dataclass
class FactorCounts:
    """Since the start: adapters of stores whose factors were in memory, and that had to be read. `gone` are the names
    of those that left it since somebody emptied the list."""

    hits: int = 0
    misses: int = 0
    gone: list[str] = field(default_factory=list)


class StoredAdapters:
    """Adapters of `folders`, and of stores through the cache of their files, whose factors are kept up to `capacity`
    bytes; `other` reads the folders and knows the library. For one thread, which finds ready what others `fetch`.

    Raises PromptError for a name that is nowhere, StorageError where a store cannot give its file, AdapterError.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        stores: Sequence[AdapterStore],
        files: FileCache,
        capacity: int,
        other: AdapterCache,
        *,
        skip_unknown: bool = False,
    ) -> None:
        self.counts = FactorCounts()
        self._here = Catalogue(folders) if folders else None
        self._other = other
        self._stores = tuple(stores)
        self.files = files
        self._skip_unknown = skip_unknown
        self._lock = threading.RLock()
        self._alone = [threading.Lock() for _ in range(_LOCKS)]
        self._fetched: set[Version] = set()
        self._loaded: ByteLru[Version, Adapter] = ByteLru(capacity, self._went)
        self._hashes: ByteLru[Version, str] = ByteLru(HASHES_KEPT)

    @property
    def bytes(self) -> int:
        """Memory of the stores' factors that are kept."""
        return self._loaded.bytes

    def get(self, name: str) -> Adapter:
        """The adapter of a name, loaded or kept."""
        found = self._find(name)
        if found is None:
            return self._other.get(name)
        return self._ready(name, *found, ahead=False)

    def path(self, name: str) -> Path:
        """The file of a name on this machine."""
        found = self._find(name)
        return self._other.path(name) if found is None else self.files.get(*found)

    def hash(self, name: str) -> str | None:
        """The hash of a store's adapter as A1111 counts it, for which its file need not be there any more; None of
        others."""
        found = self._find(name)
        if found is None:
            return None
        version = _version(*found)
        with self._lock:
            known = self._hashes.get(version)
        if known is not None:
            return known
        self._load(name, version, *found)
        return self.hash(name)

    def words(self, adapters: Sequence[Adapter] = ()) -> Vocabulary:
        """The embeddings of the folders, and those in the files of the adapters."""
        return self._other.words(adapters)

    def fetch(self, name: str) -> None:
        """Have the factors of a name in memory for whoever gets them next. From any thread."""
        found = self._find(name)
        if found is not None:
            self._ready(name, *found, ahead=True)

    def _ready(self, name: str, store: AdapterStore, stored: StoredFile, *, ahead: bool) -> Adapter:
        """The adapter, loaded or kept; what is fetched ahead is counted then, not when it is got."""
        version = _version(store, stored)
        with self._alone[hash(version) % _LOCKS]:
            with self._lock:
                kept = self._loaded.get(version)
                if kept is not None:
                    counted = version in self._fetched
                    if not ahead:
                        self._fetched.discard(version)
                    self.counts.hits += not ahead and not counted
                    return kept
                self.counts.misses += 1
            adapter = self._load(name, version, store, stored)
            with self._lock:
                if ahead and version in self._loaded:
                    self._fetched.add(version)
            return adapter

    def _find(self, name: str) -> tuple[AdapterStore, StoredFile] | None:
        """Where a store has a name; None where this machine has it."""
        if self._here is not None:
            try:
                self._here.find(name)
                return None
            except PromptError:
                pass
        for store in self._stores:
            stored = store.find(name)
            if stored is not None:
                return store, stored
        try:
            self._other.path(name)
        except PromptError:
            near = [each for store in self._stores for each in store.near(name)]
            hint = f"Did you mean {' or '.join(near)}?" if near else None
            raise PromptError(f'adapter "{name}" is unknown.', where="prompt", hint=hint) from None
        return None

    def _load(self, name: str, version: Version, store: AdapterStore, stored: StoredFile) -> Adapter:
        from lorasmith.adapters.files import load_adapter
        from lorasmith.adapters.header import addnet_hash

        while True:
            path = self.files.get(store, stored)
            try:
                adapter, digest = load_adapter(path, self._skip_unknown), addnet_hash(path)
                break
            except (AdapterError, OSError):
                if path.exists():
                    raise
                # another thread's fetch made room meanwhile
        adapter = replace(adapter, name=name)
        with self._lock:
            self._hashes.put(version, digest, 1)
            self._loaded.put(version, adapter, adapter.bytes)
        return adapter

    def _went(self, version: Version, adapter: Adapter) -> None:
        self._fetched.discard(version)
        self.counts.gone.append(adapter.name)


def _version(store: AdapterStore, stored: StoredFile) -> Version:
    return f"{store.url}/{stored.file}", stored.version
