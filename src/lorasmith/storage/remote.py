"""Files behind URLs of any kind that fsspec knows (`s3:`, `gs:`, `file:`, `memory:`), as files of this machine.

fsspec comes with the `[cluster]` extra, and is imported when a URL is given. A folder behind a URL has a mirror here:
what changed there is fetched again, what went away there goes here, and nothing there is ever changed. Nothing outside
of the URL is read, and nothing outside of the mirror is written.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from lorasmith.errors import StorageError, first_line
from lorasmith.events import Note, Progress, Work, eta
from lorasmith.storage.files import partial_of, write_file

mirrors: dict[str, str] = {}
"""The URLs by the folders of their mirrors, of this process and, in a worker, of the one that asks it for work."""
_AT_ONCE = 8
"""Files that are fetched at the same time: each waits for the network most of the time."""
_SAVE_EVERY = 5.0  # seconds
_UNSAFE = re.compile(r"[\\\0]|^[A-Za-z]:")
"""In a place: what some system reads as the way out of a folder."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//|/(?!/))(.*)", re.DOTALL)
"""Also as a Path has it, with one stroke; a drive's letter is none."""


def url_of(place: str | Path) -> str | None:
    """The URL that a place is, also where a Path was made of it; None for a place of this machine."""
    found = _URL.fullmatch(str(place))
    if found is None or (isinstance(place, Path) and place.exists()):
        return None
    kind, strokes, rest = found.groups()
    if isinstance(place, str) and strokes != "//":
        return None
    return f"{kind.lower()}://{'/' if isinstance(place, Path) and kind.lower() == 'file' else ''}{rest}"


@dataclass(frozen=True)
class Stored:
    """A file below a URL: its place there, its bytes, and what changes when it does."""

    place: PurePosixPath
    size: int
    version: str


class RemoteFolder:
    """What lies below a URL. Raises StorageError when fsspec or the package of its kind is missing, or nobody
    answers."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        if find_spec("fsspec") is None:
            raise StorageError("a URL needs fsspec.", where=self.url, hint='pip install "lorasmith[cluster]"')
        import fsspec

        try:
            self._files, root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as fault:
            raise StorageError(f"cannot be opened: {first_line(fault)}", where=self.url) from None
        self._root = root.rstrip("/")

    def list(self) -> tuple[tuple[Stored, ...], tuple[str, ...]]:
        """The files, by place, and what was listed that would lead out of the URL, which is not read."""
        try:
            found: Mapping[str, Mapping[str, Any]] = self._files.find(self._root, detail=True)
            if not found and not self._files.isdir(self._root):
                raise FileNotFoundError
        except Exception as fault:  # each kind of store raises its own
            raise self._silent(fault) from None
        inside: list[Stored] = []
        outside: list[str] = []
        for path, info in sorted(found.items()):
            place = self._place(path)
            if place is None or info.get("islink"):
                outside.append(path)
            elif info.get("type") == "file":
                inside.append(Stored(place, int(info.get("size") or 0), _version(info)))
        return tuple(inside), tuple(outside)

    def open(self, place: PurePosixPath) -> BinaryIO:
        """A file's bytes. Raises OSError."""
        try:
            opened: BinaryIO = self._files.open(f"{self._root}/{place}", "rb")
        except OSError:
            raise
        except Exception as fault:  # each kind of store raises its own
            raise OSError(first_line(fault)) from None
        return opened

    def fetch(self, place: PurePosixPath, file: Path) -> None:
        """Write a file's bytes here, whole or not at all. Raises StorageError."""
        part = partial_of(file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with self.open(place) as there, part.open("wb") as here:
                shutil.copyfileobj(there, here, 1 << 20)
            os.replace(part, file)
        except Exception as fault:  # each kind of store raises its own
            part.unlink(missing_ok=True)
            raise self._silent(fault, place) from None

    def send(self, file: Path, place: PurePosixPath) -> None:
        """Write a file of this machine below the URL, where nothing is yet. Raises StorageError."""
        target = f"{self._root}/{place}"
        try:
            taken = self._files.exists(target)
        except Exception as fault:  # each kind of store raises its own
            raise self._silent(fault, place) from None
        if taken:
            raise StorageError(
                "exists already.", where=f"{self.url}/{place}", hint="Give another name: nothing is written over."
            )
        try:
            self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(file), target)
        except Exception as fault:  # each kind of store raises its own
            raise self._silent(fault, place) from None

    def _place(self, path: str) -> PurePosixPath | None:
        """Where a listed path lies below the URL; None when it does not."""
        if not path.startswith(f"{self._root}/"):
            return None
        text = path[len(self._root) + 1 :]
        place = PurePosixPath(text)
        if not text or place.is_absolute() or ".." in place.parts or _UNSAFE.search(text):
            return None
        return place

    def _silent(self, fault: Exception, place: PurePosixPath | None = None) -> StorageError:
        """One sentence for what fails."""
        where = self.url if place is None else f"{self.url}/{place}"
        if isinstance(fault, FileNotFoundError):
            return StorageError("nothing is there.", where=where, hint="Check the spelling of the URL.")
        return StorageError(f"cannot be fetched: {first_line(fault) or type(fault).__name__}", where=where)


def mirror(url: str, folder: Path, wanted: Callable[[PurePosixPath], bool], stage: str) -> Work[None]:
    """Make `folder` hold the files below a URL that are wanted, as they are there now. What is here already is not
    fetched again, also after an interruption. Raises StorageError."""
    remote = RemoteFolder(url)
    listed, outside = remote.list()
    if outside:
        yield Note(f"{remote.url}: {outside[0]} leads out of it and is not read ({len(outside)} in all).", "warning")
    there = {str(one.place): one for one in listed if wanted(one.place)}
    here = _read_state(folder)
    gone = [place for place in here if place not in there]
    for place in gone:
        (folder / place).unlink(missing_ok=True)
        del here[place]
    todo = [one for place, one in there.items() if here.get(place) != one.version or not (folder / place).is_file()]
    started = saved = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(_fetch_all(remote, todo, folder)) as fetched:
            for done, one in enumerate(fetched, start=1):
                here[str(one.place)] = one.version
                if time.monotonic() - saved >= _SAVE_EVERY:
                    write_file(_state(folder), json.dumps(here))
                    saved = time.monotonic()
                yield Progress(stage, done, len(todo), eta(started, done, len(todo)))
    except OSError as fault:
        raise StorageError(f"cannot be written to: {fault.strerror}.", where=folder) from None
    finally:
        if todo or gone:
            with contextlib.suppress(OSError, StorageError):
                write_file(_state(folder), json.dumps(here))
    mirrors[str(folder)] = remote.url


def send_file(file: Path, url: str) -> str:
    """Write a file of this machine to its URL, where nothing is yet; gives the URL. Raises StorageError."""
    folder, _, name = url.rpartition("/")
    RemoteFolder(folder).send(file, PurePosixPath(name))
    return url


def bring(path: Path) -> None:
    """Fetch a file that should lie in a mirror and is not on this machine. Raises StorageError."""
    for folder, url in mirrors.items():
        if path.is_relative_to(folder):
            RemoteFolder(url).fetch(PurePosixPath(path.relative_to(folder).as_posix()), path)


def _fetch_all(remote: RemoteFolder, todo: Sequence[Stored], folder: Path) -> Generator[Stored, None, None]:
    """Each once it is here."""

    def fetch(one: Stored) -> Stored:
        remote.fetch(one.place, folder / one.place)
        return one

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            yield from threads.map(fetch, todo)
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def _state(folder: Path) -> Path:
    """What its mirror has of a URL: beside it."""
    return folder.with_name(f"{folder.name}.json")


def _read_state(folder: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        known = json.loads((_state(folder)).read_text("utf-8"))
        if isinstance(known, dict):
            return known
    return {}


def _version(info: Mapping[str, Any]) -> str:
    """What changes when a file does: its tag where the store has one, else its size and time."""
    tag = info.get("ETag") or info.get("etag") or info.get("md5Hash")
    when = info.get("mtime") or info.get("LastModified") or info.get("created") or ""
    return str(tag or f"{info.get('size')} {when}")
