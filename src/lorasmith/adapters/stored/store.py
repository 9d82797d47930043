"""A store of adapters behind a URL of any kind that fsspec knows (`s3:`, `gs:`, `file:`, `memory:`): which there are,
and their bytes. fsspec is imported when a store is first asked; it comes with the `[cluster]` extra."""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lorasmith.adapters.stored.manifest import FILE_NAME, SUFFIX, StoredFile, is_inside, read_manifest
from lorasmith.errors import StorageError, first_line

LOOKED_AT_EVERY = 60.0
"""Seconds for which is believed what a store said: its manifest, that a file is there, what it lists."""
MISSED_FOR = 5.0
"""Seconds for which is believed that a file is not there."""
_CHUNK = 1 << 20
_MOST_NEAR = 3


def is_url(place: str) -> bool:
    """Whether a place of adapters is a store's URL, and no folder of this machine."""
    return "://" in place


class AdapterStore:
    """The adapters below a URL. With a manifest (`adapters.json`) those are there that it names; without one the
    adapter NAME is the file NAME.safetensors. Any thread may ask. Raises StorageError when the store does not answer,
    or its kind needs a package."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._lock = threading.Lock()
        self._files: Any = None
        self._root = ""
        self._manifest: Mapping[str, StoredFile] | None = None
        self._manifest_version = ""
        self._looked = float("-inf")
        self._known: dict[str, tuple[float, StoredFile | None]] = {}
        self._listed: tuple[float, tuple[StoredFile, ...]] | None = None

    def check(self) -> None:
        """Raise StorageError where the store cannot be asked at all."""
        self._look()

    def find(self, name: str) -> StoredFile | None:
        """The adapter of a name; None where there is none."""
        manifest = self._look()
        if manifest is not None:
            return manifest.get(name)
        file = name + SUFFIX
        if not is_inside(file):
            return None
        with self._lock:
            known = self._known.get(name)
        now = time.monotonic()
        if known is not None and now - known[0] < (MISSED_FOR if known[1] is None else LOOKED_AT_EVERY):
            return known[1]
        found = self._ask_for(name, file)
        with self._lock:
            self._known[name] = (now, found)
        return found

    def entries(self) -> Sequence[StoredFile]:
        """All of them, by name; without a manifest the store is listed for it, at most once a minute."""
        manifest = self._look()
        if manifest is not None:
            return tuple(manifest.values())
        now = time.monotonic()
        with self._lock:
            if self._listed is not None and now - self._listed[0] < LOOKED_AT_EVERY:
                return self._listed[1]
        files = self._open()
        try:
            details: Mapping[str, Mapping[str, Any]] = files.find(self._root, detail=True)
        except Exception as fault:  # each kind of store raises its own
            raise self._silent(fault) from None
        found = sorted(
            (self._entry(path, info) for path, info in details.items() if path.endswith(SUFFIX)),
            key=lambda each: each.name,
        )
        with self._lock:
            self._listed = (now, tuple(found))
        return tuple(found)

    def near(self, name: str) -> Sequence[str]:
        """Names that are nearly this one, of those that are known without listing the store."""
        manifest = self._look()
        return [] if manifest is None else difflib.get_close_matches(name, manifest, _MOST_NEAR)

    def fetch(self, stored: StoredFile, place: Path) -> int:
        """Write an adapter's bytes to a file of this machine; gives how many. Raises OSError of this machine's disk."""
        files = self._open()
        try:
            opened = files.open(f"{self._root}/{stored.file}", "rb")
        except Exception as fault:
            raise self._silent(fault, stored.file) from None
        count = 0
        with place.open("wb") as out, opened:
            while True:
                try:
                    data = opened.read(_CHUNK)
                except Exception as fault:
                    raise self._silent(fault, stored.file) from None
                if not data:
                    return count
                out.write(data)
                count += len(data)

    def _look(self) -> Mapping[str, StoredFile] | None:
        """The manifest as it is now."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked < LOOKED_AT_EVERY:
                return self._manifest
            files, path = self._open(), f"{self._root}/{FILE_NAME}"
            try:
                version = _version(files.info(path))
                data = files.cat_file(path) if version != self._manifest_version else None
            except FileNotFoundError:
                self._manifest, self._manifest_version = None, ""
            except Exception as fault:
                raise self._silent(fault) from None
            else:
                if data is not None:
                    self._manifest = read_manifest(data, f"{self.url}/{FILE_NAME}")
                    self._manifest_version = version
            self._looked = now
            return self._manifest

    def _ask_for(self, name: str, file: str) -> StoredFile | None:
        path = f"{self._root}/{file}"
        try:
            info = self._open().info(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as fault:
            raise self._silent(fault) from None
        return None if info.get("type") == "directory" else StoredFile(name, file, int(info["size"]), _version(info))

    def _entry(self, path: str, info: Mapping[str, Any]) -> StoredFile:
        file = path[len(self._root) :].lstrip("/")
        return StoredFile(file.removesuffix(SUFFIX), file, int(info["size"]), _version(info))

    def _open(self) -> Any:
        if self._files is None:
            if find_spec("fsspec") is None:
                raise StorageError(
                    "a store of adapters needs fsspec.", where=self.url, hint='pip install "lorasmith[cluster]"'
                )
            import fsspec

            try:
                files, root = fsspec.core.url_to_fs(self.url)
            except (ImportError, ValueError) as fault:
                raise StorageError(f"cannot be opened: {first_line(fault)}", where=self.url) from None
            self._root = root.rstrip("/")
            self._files = files
        return self._files

    def _silent(self, fault: Exception, file: str = "") -> StorageError:
        """One sentence for a store that does not answer."""
        where = f"{self.url}/{file}" if file else self.url
        if isinstance(fault, FileNotFoundError):
            return StorageError("is not in the store any more.", where=where)
        return StorageError(f"the store does not answer: {first_line(fault)}", where=where)


def _version(info: Mapping[str, Any]) -> str:
    """What changes when a file does: its tag where the store has one, else its size and time."""
    tag = info.get("ETag") or info.get("etag") or info.get("md5Hash")
    when = info.get("mtime") or info.get("LastModified") or info.get("created") or ""
    return str(tag or f"{info.get('size')} {when}")
