"""Which embeddings there are: one look at the folders, and what the files' headers say. Nothing heavy is imported."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from lorasmith.adapters.embeddings.layouts import LARGEST, EmbeddingHeader, read_embedding_header
from lorasmith.bases.text.embeddings import SUFFIXES, Embedding, Vocabulary, check_widths, find_called, find_name
from lorasmith.errors import AdapterError, PromptError
from lorasmith.project import FILE_NAME

if TYPE_CHECKING:
    from lorasmith.adapters.adapter import Adapter

FOLDER = "embeddings"
"""The folder that is looked into beside a folder of adapters, too."""
KEPT = 256
SETTLED = 10**9
"""Nanoseconds after which a folder's time is trusted to tell every change."""
Stamp = tuple[int, int]


@dataclass(frozen=True)
class EmbeddingEntry:
    """A file of an embedding: what calls it, what its header says; `file` is relative to the folder that it was found
    in. `problem` says why it cannot be used."""

    name: str
    path: Path
    file: str
    header: EmbeddingHeader | None = None
    problem: str | None = None

    @property
    def names(self) -> list[str]:
        """What calls it, in small letters: its stem, diffusers' token, and the stem with folders in front."""
        parts = Path(self.file).with_suffix("").parts
        paths = ["/".join(parts[-depth:]) for depth in range(1, len(parts) + 1)]
        token = "" if self.header is None else self.header.token
        return [each.strip().lower() for each in (*paths, token) if each.strip()]


class EmbeddingCatalogue:
    """The embeddings' files below `folders` (or a file itself), and in folders ``embeddings``: beside each of them,
    beside a file's folder, and in the project around it.

    Pickles are listed in folders of the name ``embeddings`` alone, with why they are not read. Files that came, changed
    or went are noticed; headers are read once, and the last used vectors are kept. Any thread may ask.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(Path(folder) for folder in folders)
        self._known: dict[Path, tuple[Stamp, EmbeddingEntry | None]] = {}
        self._loaded: OrderedDict[Path, tuple[Stamp, Embedding]] = OrderedDict()
        self._bundled: WeakKeyDictionary[Adapter, Mapping[str, Embedding]] = WeakKeyDictionary()
        self._listed: list[EmbeddingEntry] | None = None
        self._folders: dict[str, int] = {}
        self._lock = threading.Lock()

    def entries(self) -> list[EmbeddingEntry]:
        """All of them, by name."""
        with self._lock:
            found: dict[Path, tuple[Stamp, EmbeddingEntry | None]] = {}
            for path, file, status in self._walk():
                stamp = (status.st_size, status.st_mtime_ns)
                known = self._known.get(path)
                found[path] = known if known is not None and known[0] == stamp else (stamp, _read(path, file))
            self._known = found
            every = [entry for _, entry in found.values() if entry is not None]
            # Elsewhere a broken file is the adapters' catalogue's to tell.
            entries = [entry for entry in every if not entry.problem or FOLDER in entry.path.parent.parts]
            entries.sort(key=lambda each: each.name.lower())
            # NOTE: what has just changed may change again within one tick of the clock, what is broken may be half
            # written: neither is trusted to stay.
            settled = time.time_ns() - max(self._folders.values(), default=0) > SETTLED
            self._listed = entries if settled and not any(entry.problem for entry in every) else None
        return entries

    def _unchanged(self) -> list[EmbeddingEntry] | None:
        """The entries of the last look where no folder has changed since; each file is looked at when it is read."""
        with self._lock:
            same = self._listed is not None and all(_time_of(each) == was for each, was in self._folders.items())
            return self._listed if same else None

    def check(self, text: str, widths: Sequence[int] | None, brought: bool = False) -> None:
        """Raise PromptError for an embedding that a text calls and that cannot be used, as far as headers and whole
        words tell: it is not there, not read, or does not fit text encoders of these widths. `brought`: adapters may
        bring others. Where files lie is not told."""
        by_name = self._by_name()
        marked, bare = find_called(text, [name for name in by_name if "/" not in name])
        names = [name.lower() for name in bare]
        for said in marked:
            try:
                names.append(find_name(said, by_name)[0])
            except PromptError:
                if not brought:
                    raise
        for name in names:
            for entry in by_name[name]:
                if entry.header is None:
                    raise PromptError(f'embedding "{name}" {entry.problem}', where="prompt")
                if widths is not None:
                    check_widths(name, entry.header.widths, widths)

    def _by_name(self) -> dict[str, list[EmbeddingEntry]]:
        found: dict[str, list[EmbeddingEntry]] = {}
        unchanged = self._unchanged()
        for entry in self.entries() if unchanged is None else unchanged:
            for name in dict.fromkeys(entry.names):
                found.setdefault(name, []).append(entry)
        return found

    def words(self, adapters: Sequence[Adapter] = ()) -> Vocabulary:
        """What a prompt can call: the files, and the embeddings in these adapters' files where no file has their
        name, as in A1111's web UI."""
        called: dict[str, Callable[[], Embedding]] = {
            name: partial(self._open, name, alike) for name, alike in self._by_name().items()
        }
        for adapter in adapters:
            for name, embedding in self._inside(adapter).items():
                called.setdefault(name.lower(), partial(_itself, embedding))
        return Vocabulary(called)

    def _open(self, name: str, alike: Sequence[EmbeddingEntry]) -> Embedding:
        found = [self._load(entry) for entry in alike]
        if len({each.digest for each in found}) > 1:
            raise PromptError(
                f'embedding "{name}" is in several files, which differ.',
                where="prompt",
                hint=f"Say which, as embedding:FOLDER/NAME, or rename one: {', '.join(each.file for each in alike)}.",
            )
        return found[0]

    def _load(self, entry: EmbeddingEntry) -> Embedding:
        from lorasmith.adapters.embeddings.files import load_embedding

        if entry.problem is not None:
            raise AdapterError(entry.problem, where=entry.path)
        try:
            status = entry.path.stat()
        except OSError as fault:
            raise AdapterError(f"cannot be read: {fault.strerror}.", where=entry.path) from None
        stamp = (status.st_size, status.st_mtime_ns)
        with self._lock:
            kept = self._loaded.get(entry.path)
        if kept is None or kept[0] != stamp:
            kept = (stamp, load_embedding(entry.path, entry.name))
        with self._lock:
            self._loaded[entry.path] = kept
            self._loaded.move_to_end(entry.path)
            while len(self._loaded) > KEPT:
                self._loaded.popitem(last=False)
        return kept[1]

    def _inside(self, adapter: Adapter) -> Mapping[str, Embedding]:
        if not adapter.embeddings:
            return {}
        if adapter not in self._bundled:
            from lorasmith.adapters.embeddings.files import read_bundled

            self._bundled[adapter] = read_bundled(adapter.embeddings, adapter.name)
        return self._bundled[adapter]

    def _walk(self) -> Iterator[tuple[Path, str, os.stat_result]]:
        """Files that may be embeddings', each once, with what they are called in their folder."""
        seen: set[str] = set()
        beside = dict.fromkeys(near for folder in self.folders for near in _near(folder))
        self._folders.clear()
        for root in (*self.folders, *beside):
            if not root.is_dir():
                self._folders[str(root)] = _time_of(str(root))
            for file in [root] if root.is_file() else _below(root, self._folders):
                place = os.path.abspath(file)
                if place in seen or not _may_be(file):
                    continue
                seen.add(place)
                try:
                    status = file.stat()
                except OSError:  # it went meanwhile
                    continue
                inside = file.name if root.is_file() else file.relative_to(root).as_posix()
                if 0 < status.st_size <= LARGEST:
                    yield file, inside, status


def _near(place: Path) -> Iterator[Path]:
    """Folders of embeddings that go with a folder of adapters, or with an adapter's file."""
    above = Path(os.path.abspath(place)).parents
    yield from (each / FOLDER for each in above[: 2 if place.is_file() else 1])
    yield from (each / FOLDER for each in above if (each / FILE_NAME).is_file())


def _time_of(path: str) -> int:
    """When a folder or file was changed, in nanoseconds; 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _below(folder: Path, times: dict[str, int]) -> Iterator[Path]:
    """The files, and when each folder was changed."""
    for at, folders, files in os.walk(folder):
        times[at] = _time_of(at)
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (Path(at, name) for name in sorted(files) if not name.startswith("."))


def _may_be(file: Path) -> bool:
    if file.suffix == SUFFIXES[0]:
        return True
    return file.suffix in SUFFIXES and FOLDER in file.parent.parts


def _read(path: Path, file: str) -> EmbeddingEntry | None:
    """The entry of a file; None for what is no embedding's."""
    try:
        header = read_embedding_header(path)
    except AdapterError as fault:
        return EmbeddingEntry(path.stem, path, file, problem=fault.message)
    except OSError:
        return None
    return None if header is None else EmbeddingEntry(path.stem, path, file, header)


def _itself(embedding: Embedding) -> Embedding:
    return embedding
