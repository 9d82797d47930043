"""The projects of a studio: folders directly below one folder, opened by name, changed by one writer at a time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lorasmith.project import FILE_NAME, Project, open_project, safe_name
from lorasmith.server.errors import FieldError, MissingError

_WATCHED = ("lora.toml", "curation.jsonl", ".lorasmith/index.db", ".lorasmith/tags.db")
_FOLDERS = ("images", "made", "runs", "exams", "build/dataset", ".lorasmith/page")
PROJECT_ADAPTERS = (
    "*/runs/*/*.safetensors",
    "*/runs/*/snapshots/*.safetensors",
    "*/runs/*/*/*.safetensors",
    "*/exams/*/*.safetensors",
)
"""Where the adapters of projects lie, below their folder."""


class Workshop:
    """Projects below `projects`; `roots` are the folders from which files of this machine may be taken."""

    def __init__(self, projects: Path, roots: tuple[Path, ...] = ()) -> None:
        self.projects = projects.resolve()
        self.roots = tuple(root.resolve() for root in roots)
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()

    def names(self) -> list[str]:
        """The names of the projects, sorted."""
        if not self.projects.is_dir():
            return []
        return sorted(
            folder.name
            for folder in self.projects.iterdir()
            if (folder / FILE_NAME).is_file() and folder.name == safe_name(folder.name)
        )

    def open(self, name: str) -> Project:
        """The project of a name. Raises MissingError, ProjectError."""
        if name != safe_name(name) or not (self.projects / name / FILE_NAME).is_file():
            raise MissingError(f'there is no project "{name}".', where="project")
        return open_project(self.projects / name)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Inside, no other request changes the project."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.RLock())
        with lock:
            yield

    def allowed(self, path: str, field: str = "path") -> Path:
        """A path of this machine that lies in a project or in one of the roots. Raises FieldError."""
        found = Path(path).expanduser().resolve()
        if not any(found.is_relative_to(root) for root in (self.projects, *self.roots)):
            known = ", ".join(map(str, (self.projects, *self.roots)))
            raise FieldError(
                f"{path}: lies outside the folders that are open here.", where=field, hint=f"Open: {known}."
            )
        return found

    def version(self, name: str) -> str:
        """A text that is another one when something of the project has changed on disk; cheap."""
        root = self.projects / name
        told = hashlib.blake2b(digest_size=8)
        for path in (*(root / file for file in _WATCHED), *(root / folder for folder in _FOLDERS)):
            told.update(_stamp(path))
        for folder in ("runs", "exams"):
            for inside in sorted((root / folder).glob("*")):
                told.update(_stamp(inside))
                told.update(_stamp(inside / "events.jsonl") + _stamp(inside / "figures.json"))
        return told.hexdigest()


def _stamp(path: Path) -> bytes:
    try:
        known = path.stat()
    except OSError:
        return b"-"
    return f"{path.name}:{known.st_mtime_ns}:{known.st_size};".encode()
