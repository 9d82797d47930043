"""What adapters there are: one scan of folders, and what the files' headers say. Nothing heavy is imported."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lorasmith.adapters.embeddings.layouts import read_embedding_header, tell_embedding
from lorasmith.container import read_container
from lorasmith.errors import AdapterError, PromptError, near_names

Stamp = tuple[int, int]
LONGEST_WORD = 200
"""Characters of what a header says that are shown in lists."""

_WORDS = ("lora", "lycoris", "hada_", "lokr_", "oft_", "ia3")
"""One of these is in every layer's key of every adapter format."""
_NOT_CALLED = frozenset(":<>")
"""Letters that end a tag's name: no prompt can call a file that has one in its own."""
_NO_LAYERS = "has no layer of an adapter: a base, a state to resume from, or something else."
IS_EMBEDDING = "is an embedding, no adapter: its name in a prompt calls it."


@dataclass(frozen=True)
class AdapterEntry:
    """An adapter file: its name in prompts, the name that it records, what its header says.

    `file` is relative to the folder that it was found in; `problem` says why it cannot be read.
    """

    name: str
    path: Path
    file: str
    bytes: int
    metadata: Mapping[str, str]
    problem: str | None = None

    @property
    def recorded(self) -> str | None:
        """`ss_output_name`, when the file has one that can be called."""
        name = self.metadata.get("ss_output_name", "")
        return name if 0 < len(name) <= LONGEST_WORD else None

    @property
    def alias(self) -> str:
        """What A1111 calls it by when asked for aliases."""
        return self.recorded or self.name

    @property
    def trigger(self) -> str:
        return self.metadata.get("modelspec.trigger_phrase", "")[:LONGEST_WORD]

    @property
    def rank(self) -> str | None:
        rank = self.metadata.get("ss_network_dim")
        return None if rank is None else rank[:LONGEST_WORD]


@dataclass(frozen=True)
class _File:
    """An adapter file: `inside` is how it is called in the folder that it was found in."""

    path: Path
    inside: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders that it lies in, from the outermost, and its stem."""
        return (*Path(os.path.abspath(self.path)).parts[:-1], self.path.stem)


class Elsewhere(Protocol):
    """Who knows adapters outside of the folders, and more of all of them than their headers say (a user's library)."""

    def files(self, name: str) -> Sequence[Path]:
        """The files that are called so, by name, alias, hash or trigger; of files with the same bytes one."""

    def triggers(self, path: Path) -> Sequence[str]:
        """The trigger phrases of a file."""

    def near(self, name: str) -> Sequence[str]:
        """Names that are nearly this one."""


class Catalogue:
    """The `.safetensors` files below `folders` (or a file itself; a path with stars is a pattern of files), by name.

    A name is a file's stem; where several files have it, with as many of its folders in front ("sub/zbk") as tell them
    apart. More folders than that may be said, and a file's `ss_output_name` when only one file has it (A1111's rule).
    Files that came, changed or went since the last time are noticed; headers are read once. What no file here is called
    is looked for `elsewhere`. Any thread may ask.
    """

    def __init__(self, folders: Sequence[Path], elsewhere: Elsewhere | None = None) -> None:
        self.folders = tuple(Path(folder) for folder in folders)
        self._elsewhere = elsewhere
        self._known: dict[Path, tuple[Stamp, AdapterEntry]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._files())

    def entries(self) -> list[AdapterEntry]:
        """All of them by name, headers read."""
        with self._lock:
            return self._read(self._files())

    def find(self, *names: str, where: str | None = None, hint: str | None = None) -> list[Path]:
        """The files of names, after one look at the folders. Raises PromptError at `where`, naming the nearest names;
        `hint` is what to say when none is near, in place of a list."""
        files = self._files() if names else {}
        return [self._find(name, files, where, hint) for name in names]

    def trigger(self, name: str, hint: str | None = None) -> str:
        """The trigger phrase that the header of an adapter records, or that is known elsewhere; "" for none. Raises
        PromptError as `find`."""
        files = self._files()
        path = self._find(name, files, None, hint)
        with self._lock:
            entry = next((self._entry(known, file) for known, file in files.items() if file.path == path), None)
        trigger = "" if entry is None else entry.trigger
        if not trigger and self._elsewhere is not None:
            trigger = next(iter(self._elsewhere.triggers(path)), "")
        return trigger

    def _find(self, name: str, files: Mapping[str, _File], where: str | None, hint: str | None) -> Path:
        if name in files:
            return files[name].path
        said = tuple(part for part in name.replace("\\", "/").split("/") if part)
        meant = {known: file for known, file in files.items() if said and file.parts[-len(said) :] == said}
        if len(meant) == 1:
            return next(iter(meant.values())).path
        if meant:
            raise PromptError(
                f'adapter "{name}" lies in several folders.', where=where, hint=f"Say which: {_list(meant)}."
            )
        with self._lock:
            recorded = [entry for entry in self._read(files) if entry.recorded == name]
        if len(recorded) == 1:
            return recorded[0].path
        if recorded:
            raise PromptError(
                f'adapter "{name}" is the recorded name of several files.',
                where=where,
                hint=f"Say which: {', '.join(entry.name for entry in recorded)}.",
            )
        others = [] if self._elsewhere is None else self._elsewhere.files(name)
        if len(others) == 1:
            return others[0]
        if others:
            raise PromptError(
                f'"{name}" calls several adapters of the library.',
                where=where,
                hint=f"Say which: {', '.join(name_files(others))}.",
            )
        near = near_names(name, files) or ([] if self._elsewhere is None else list(self._elsewhere.near(name)))
        if near:
            hint = f"Did you mean {' or '.join(near)}?"
        elif hint is None and files:
            hint = f"There are: {_list(files)}."
        elif hint is None:
            hint = f"No adapters in {', '.join(map(str, self.folders)) or 'any folder'}."
        raise PromptError(f'adapter "{name}" is unknown.', where=where, hint=hint)

    def _files(self) -> dict[str, _File]:
        """By name, a file once."""
        found: dict[str, _File] = {}
        for folder in _places(self.folders):
            for file in [folder] if folder.is_file() else sorted(folder.rglob("*.safetensors")):
                inside = Path(file.name) if folder.is_file() else file.relative_to(folder)
                if not any(part.startswith(".") for part in inside.parts):  # a project's latents are no adapters
                    found.setdefault(os.path.abspath(file), _File(file, inside.as_posix()))
        return _named(_without_embeddings(list(found.values())))

    def _read(self, files: Mapping[str, _File]) -> list[AdapterEntry]:
        entries = [self._entry(name, files[name]) for name in sorted(files)]
        self._known = {file.path: self._known[file.path] for file in files.values() if file.path in self._known}
        return [entry for entry in entries if entry is not None]

    def _entry(self, name: str, file: _File) -> AdapterEntry | None:
        try:
            stamp = stamp_of(file.path)
        except OSError:  # it went meanwhile
            return None
        known = self._known.get(file.path)
        if known is not None and known[0] == stamp:
            return replace(known[1], name=name, file=file.inside)
        try:
            header = read_container(file.path, AdapterError, "adapter")
            metadata = dict(header.metadata)
            problem = None if any(word in key for key in header.tensors for word in _WORDS) else _NO_LAYERS
            if problem is not None and tell_embedding(header) is not None:
                problem = IS_EMBEDDING
            if problem is None and _NOT_CALLED & set(name):
                problem = f"no prompt can call it: its name has one of {' '.join(sorted(_NOT_CALLED))}; rename it."
        except AdapterError as error:
            metadata, problem = {}, error.message
        entry = AdapterEntry(name, file.path, file.inside, stamp[0], metadata, problem)
        self._known[file.path] = (stamp, entry)
        return entry


def _places(folders: Iterable[Path]) -> Iterable[Path]:
    """The folders and files that are meant: a path with a star is a pattern, which leaves states of training out."""
    for folder in folders:
        if not any("*" in part for part in folder.parts):
            yield folder
            continue
        first = next(number for number, part in enumerate(folder.parts) if "*" in part)
        found = Path(*folder.parts[:first]).glob(str(Path(*folder.parts[first:])))
        yield from sorted(file for file in found if file.is_file() and file.parent.name != "state")


def name_files(files: Sequence[Path]) -> list[str]:
    """What calls each of these files in a prompt when they are the only ones; a file that stands twice has one name."""
    there = {os.path.abspath(file): _File(file, file.name) for file in files}
    names = {os.path.abspath(file.path): name for name, file in _named(there.values()).items()}
    return [names[os.path.abspath(file)] for file in files]


def _without_embeddings(files: Sequence[_File]) -> list[_File]:
    """Without the embeddings that have a stem that an adapter has, too: the adapter keeps its name."""
    count = Counter(file.path.stem for file in files)
    return [file for file in files if count[file.path.stem] == 1 or not _is_embedding(file.path)]


def _is_embedding(path: Path) -> bool:
    try:
        return read_embedding_header(path) is not None
    except (AdapterError, OSError):
        return False


def _named(files: Iterable[_File]) -> dict[str, _File]:
    """Each file by its stem, with as many folders in front as no other file has there."""
    by_stem: dict[str, list[_File]] = {}
    for file in files:
        by_stem.setdefault(file.path.stem, []).append(file)
    found: dict[str, _File] = {}
    for stem, alike in by_stem.items():
        if len(alike) == 1:
            found[stem] = alike[0]
            continue
        parts = [file.parts for file in alike]
        for file, own in zip(alike, parts, strict=True):
            depth = next(
                depth for depth in range(2, len(own) + 1) if sum(each[-depth:] == own[-depth:] for each in parts) == 1
            )
            found["/".join(own[-depth:])] = file
    return found


def _list(names: Iterable[str]) -> str:
    listed = sorted(names)
    return f"{', '.join(listed[:10])}{' ...' if len(listed) > 10 else ''}"


def stamp_of(path: Path) -> Stamp:
    """Size and time of a file, which change when it does. Raises OSError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
