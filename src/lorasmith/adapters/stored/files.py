"""Files of a store on this machine's disk: fetched once, hashed, and kept up to a number of bytes."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from lorasmith.adapters.stored.manifest import SUFFIX, StoredFile
from lorasmith.adapters.stored.store import AdapterStore
from lorasmith.errors import StorageError
from lorasmith.storage.files import partial_of, remove_all_left_partials
from lorasmith.storage.locks import HeldError, hold
from lorasmith.storage.lru import ByteLru

LOCK_NAME = "cache.lock"
_LOCKS = 64
_held: list[BinaryIO] = []
"""The locks of this process's folders, which end with it."""


@dataclass
class FileCounts:
    """Since the start: files that were there, that were not, and the bytes that were fetched for those."""

    hits: int = 0
    misses: int = 0
    fetched: int = 0


@dataclass(frozen=True)
class KeptFile:
    """A file on disk, and the sha256 of what was fetched."""

    path: Path
    sha256: str


class FileCache:
    """The files of stores in a folder that no other process uses, together no more than `capacity` bytes; what an
    earlier process left there is used. A file is looked at by its hash before it is given out: one that was changed or
    cut short on this disk is fetched again. Any thread may ask; two that want one file wait for one fetch."""

    def __init__(self, folder: Path, capacity: int) -> None:
        self.folder = folder
        self.counts = FileCounts()
        self._lock = threading.RLock()
        self._alone = [threading.Lock() for _ in range(_LOCKS)]
        self._coming = 0
        self._kept: ByteLru[str, KeptFile] = ByteLru(capacity, _remove)
        self._take_up()

    @property
    def bytes(self) -> int:
        """Of the files that are kept."""
        with self._lock:
            return self._kept.bytes

    def get(self, store: AdapterStore, stored: StoredFile) -> Path:
        """The file on disk, fetched where it is not there. Raises StorageError: the store does not answer or gives
        other bytes than its manifest says, the disk is full, the file is larger than the whole cache."""
        key = _key(store, stored)
        with self._alone[int(key[:2], 16) % _LOCKS]:
            path = self._sound(key)
            with self._lock:
                if path is not None:
                    self.counts.hits += 1
                    return path
                self.counts.misses += 1
            return self._fetch(key, store, stored)

    def _sound(self, key: str) -> Path | None:
        """The file that is kept, if its bytes are still those that were fetched."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            return None
        try:
            sound = _hash(kept.path) == kept.sha256
            kept.path.touch()
        except OSError:
            sound = False
        if not sound:
            with self._lock:
                self._kept.forget(key)
        return kept.path if sound else None

    def _fetch(self, key: str, store: AdapterStore, stored: StoredFile) -> Path:
        capacity = self._kept.capacity
        if stored.bytes > capacity:
            raise StorageError(
                f'adapter "{stored.name}" has {stored.bytes} bytes; the cache of files holds {capacity} in all.',
                where=self.folder,
                hint="Give it more bytes.",
            )
        with self._lock:
            self._coming += stored.bytes
            self._kept.make_room(self._coming)
        partial = partial_of(self.folder / key)
        try:
            path = self._checked(key, store, stored, partial)
        except OSError as fault:
            hint = "Free some space, or give the cache of files fewer bytes."
            raise StorageError(f"cannot write: {fault.strerror}.", where=self.folder, hint=hint) from None
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            with self._lock:
                self._coming -= stored.bytes
        return path

    def _checked(self, key: str, store: AdapterStore, stored: StoredFile, partial: Path) -> Path:
        """Fetch to a file beside, which takes its place once its bytes are those that the store speaks of."""
        size, where = store.fetch(stored, partial), f"{store.url}/{stored.file}"
        if size != stored.bytes:
            raise StorageError(f"{size} bytes came, {stored.bytes} were announced.", where=where)
        digest = _hash(partial)
        if stored.sha256 is not None and digest != stored.sha256:
            raise StorageError(
                f"its sha256 is {digest[:12]}, the manifest says {stored.sha256[:12]}.",
                where=where,
                hint="Copy it into the store again, or write the manifest again.",
            )
        path = self.folder / f"{key}-{digest}{SUFFIX}"
        partial.replace(path)
        with self._lock:
            self.counts.fetched += size
            self._kept.put(key, KeptFile(path, digest), size)
        return path

    def _take_up(self) -> None:
        """Count what lies there, the longest unused first."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_all_left_partials(self.folder)
            there = [(path, path.stat()) for path in self.folder.glob(f"*-*{SUFFIX}")]
        except OSError as fault:
            raise StorageError(f"cannot be used for files: {fault.strerror}.", where=self.folder) from None
        for path, status in sorted(there, key=lambda each: each[1].st_mtime_ns):
            key, _, digest = path.name.removesuffix(SUFFIX).partition("-")
            self._kept.put(key, KeptFile(path, digest), status.st_size)


def open_file_cache(root: Path, capacity: int) -> FileCache:
    """A cache in the first folder below `root` that no other process uses, which keeps it until it ends: several on one
    machine have their own files, and find them again. Raises StorageError."""
    for number in count():
        folder = root / str(number)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _held.append(hold(folder / LOCK_NAME))
        except HeldError:
            continue
        except OSError as fault:
            raise StorageError(f"cannot be used for files: {fault.strerror}.", where=folder) from None
        return FileCache(folder, capacity)
    raise AssertionError


def _key(store: AdapterStore, stored: StoredFile) -> str:
    said = "\0".join((store.url, stored.file, stored.version))
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _remove(_: str, kept: KeptFile) -> None:
    with contextlib.suppress(OSError):  # gone already, or held open on a system that minds
        kept.path.unlink()
