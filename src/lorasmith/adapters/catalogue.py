"""What adapters there are: one scan of folders, and what the files' headers say. Nothing heavy is imported."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorasmith.container import read_container
from lorasmith.errors import AdapterError, PromptError, near_names

Stamp = tuple[int, int]
LONGEST_WORD = 200
"""Characters of what a header says that are shown in lists."""

_WORDS = ("lora", "lycoris", "hada_", "lokr_", "oft_", "ia3")
"""One of these is in every layer's key of every adapter format."""
_NO_LAYERS = "has no layer of an adapter: a base, a state to resume from, or something else."


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


class Catalogue:
    """The `.safetensors` files below `folders` (or a file itself), by name; earlier folders win where stems clash.

    A name is a file's stem, or its `ss_output_name` when only one file has it (A1111's rule). Files that came,
    changed or went since the last time are noticed; headers are read once. Any thread may ask.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(Path(folder) for folder in folders)
        self._known: dict[Path, tuple[Stamp, AdapterEntry]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The stems, sorted."""
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

    def _find(self, name: str, files: Mapping[str, tuple[Path, str]], where: str | None, hint: str | None) -> Path:
        if name in files:
            return files[name][0]
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
        near = near_names(name, files)
        if near:
            hint = f"Did you mean {' or '.join(near)}?"
        elif hint is None and files:
            hint = f"There are: {', '.join(sorted(files)[:10])}{' ...' if len(files) > 10 else ''}."
        elif hint is None:
            hint = f"No adapters in {', '.join(map(str, self.folders)) or 'any folder'}."
        raise PromptError(f'adapter "{name}" is unknown.', where=where, hint=hint)

    def _files(self) -> dict[str, tuple[Path, str]]:
        """By stem: the file, and how it is called in its folder."""
        found: dict[str, tuple[Path, str]] = {}
        for folder in self.folders:
            for file in [folder] if folder.is_file() else sorted(folder.rglob("*.safetensors")):
                inside = Path(file.name) if folder.is_file() else file.relative_to(folder)
                if not any(part.startswith(".") for part in inside.parts):  # a project's latents are no adapters
                    found.setdefault(file.stem, (file, inside.as_posix()))
        return found

    def _read(self, files: Mapping[str, tuple[Path, str]]) -> list[AdapterEntry]:
        entries = [self._entry(name, *files[name]) for name in sorted(files)]
        self._known = {file: self._known[file] for file, _ in files.values() if file in self._known}
        return [entry for entry in entries if entry is not None]

    def _entry(self, name: str, file: Path, relative: str) -> AdapterEntry | None:
        try:
            stamp = stamp_of(file)
        except OSError:  # it went meanwhile
            return None
        known = self._known.get(file)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            header = read_container(file, AdapterError, "adapter")
            metadata = dict(header.metadata)
            problem = None if any(word in key for key in header.tensors for word in _WORDS) else _NO_LAYERS
        except AdapterError as error:
            metadata, problem = {}, error.message
        entry = AdapterEntry(name, file, relative, stamp[0], metadata, problem)
        self._known[file] = (stamp, entry)
        return entry


def stamp_of(path: Path) -> Stamp:
    """Size and time of a file, which change when it does. Raises OSError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
