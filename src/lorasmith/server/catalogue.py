"""What can be called by name: the adapters in the server's folders and its bases. Nothing heavy is imported."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorasmith.container import read_container
from lorasmith.errors import AdapterError, PromptError, near_names
from lorasmith.project import EMBEDDED
from lorasmith.server.faults import FieldError


@dataclass(frozen=True)
class AdapterEntry:
    """An adapter file: its name in prompts, the name that it records, what its header says.

    `file` is relative to the folder that it was found in; `problem` says why it cannot be read.
    """

    name: str
    alias: str
    file: str
    bytes: int
    metadata: Mapping[str, str]
    problem: str | None = None

    @property
    def trigger(self) -> str:
        return self.metadata.get("modelspec.trigger_phrase", "")

    @property
    def rank(self) -> str | None:
        return self.metadata.get("ss_network_dim")


class Catalogue:
    """The adapters below some folders; earlier folders win where names clash, as on the shelf."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)
        self._known: dict[Path, tuple[tuple[int, int], AdapterEntry]] = {}
        self._lock = threading.Lock()

    def entries(self) -> list[AdapterEntry]:
        """All of them by name; files that came, changed or went since the last time are noticed."""
        with self._lock:
            return self._look()

    def _look(self) -> list[AdapterEntry]:
        found: dict[str, tuple[Path, str]] = {}
        for folder in self.folders:
            files = [folder] if folder.is_file() else sorted(folder.rglob("*.safetensors"))
            for file in files:
                if not file.name.startswith("."):
                    relative = file.name if folder.is_file() else file.relative_to(folder).as_posix()
                    found.setdefault(file.stem, (file, relative))
        entries = {name: self._entry(name, file, relative) for name, (file, relative) in found.items()}
        self._known = {file: self._known[file] for file, _ in found.values() if file in self._known}
        return [entry for _, entry in sorted(entries.items()) if entry is not None]

    def check(self, *wanted: str) -> None:
        """Raise PromptError, naming the nearest, for the first name that no adapter has or records."""
        entries = self.entries() if wanted else []
        names = {entry.name for entry in entries}
        for name in wanted:
            if name in names or sum(entry.alias == name for entry in entries) == 1:
                continue
            near = near_names(name, names)
            hint = f"Did you mean {' or '.join(near)}?" if near else "GET /api/v1/adapters lists those that there are."
            raise PromptError(f'adapter "{name}" is unknown.', where="prompt", hint=hint)

    def _entry(self, name: str, file: Path, relative: str) -> AdapterEntry | None:
        try:
            status = file.stat()
        except OSError:
            return None
        stamp = (status.st_size, status.st_mtime_ns)
        known = self._known.get(file)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            metadata, problem = dict(read_container(file, AdapterError, "adapter").metadata), None
        except AdapterError as error:
            metadata, problem = {}, error.message
        alias = metadata.get("ss_output_name") or name
        entry = AdapterEntry(name, alias, relative, status.st_size, metadata, problem)
        self._known[file] = (stamp, entry)
        return entry


@dataclass(frozen=True)
class BaseEntry:
    """A base that the server may draw with: how clients call it, and what it is loaded from."""

    name: str
    source: str


def list_bases(sources: Sequence[str]) -> tuple[BaseEntry, ...]:
    """The bases by name: "doodle", or the name of a folder or file without its ending; equal names get a number."""
    entries: dict[str, BaseEntry] = {}
    for source in sources:
        name = source if source == EMBEDDED else Path(source).resolve().name.removesuffix(".safetensors")
        number = 2
        unique = name
        while unique in entries:
            unique, number = f"{name} ({number})", number + 1
        entries[unique] = BaseEntry(unique, source)
    return tuple(entries.values())


def find_base(bases: Sequence[BaseEntry], name: str, where: str = "base") -> BaseEntry:
    """The base of a name, in any case; "name [hash]" as web UI clients send it is understood. Raises FieldError."""
    wanted = name.strip().lower().removesuffix(".safetensors")
    plain = wanted.rsplit(" [", 1)[0] if wanted.endswith("]") else wanted
    for entry in bases:
        if entry.name.lower() in (wanted, plain):
            return entry
    raise FieldError(
        f'"{name}": unknown base.', where=where, hint=f"There are: {', '.join(entry.name for entry in bases)}."
    )
