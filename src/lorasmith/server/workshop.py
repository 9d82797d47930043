"""The projects of a studio: folders directly below one folder, opened by name, changed by one writer at a time."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lorasmith.dataset.folders import CAPTION_EXTENSIONS, printable
from lorasmith.dataset.stored import image_roots
from lorasmith.errors import LorasmithError, ProjectError
from lorasmith.project import FILE_NAME, Project, check_folder_name, open_project, safe_name
from lorasmith.server.errors import FieldError, MissingError

_OF_FILES = ("images", "made", "made/lineage.jsonl")
_OF_IMAGES = ("lora.toml", "curation.jsonl", "sources.jsonl", ".lorasmith/tags.sqlite")
_OF_THE_REST = ("runs", "exams", "build/dataset", ".lorasmith/page", ".lorasmith/page/inspection.json")
_OLD_SECONDS = 1.0
"""Captions that are edited in place are looked at again after this long: ten thousand take a while."""
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
        self._roots: dict[str, tuple[bytes, list[Path]]] = {}
        self._captions: dict[str, tuple[float, bytes]] = {}
        self._listed: dict[Path, tuple[int, list[str]]] = {}

    def names(self) -> list[str]:
        """The names of the projects, sorted; also of those that cannot be opened, as their folders are called."""
        if not self.projects.is_dir():
            return []
        return sorted(
            folder.name
            for folder in self.projects.iterdir()
            if (folder / FILE_NAME).is_file() and not folder.name.startswith(".") and folder.name.isprintable()
        )

    def open(self, name: str) -> Project:
        """The project of a name. Raises MissingError; ProjectError, also for a folder that is called as none can be
        here."""
        is_safe = name == safe_name(name)
        if not is_safe and name in self.names():
            hint = f"Rename the folder, to {safe_name(name)} for example."
            raise ProjectError("a project whose folder is called so cannot be opened here.", where=name, hint=hint)
        if not is_safe or not (self.projects / name / FILE_NAME).is_file():
            raise MissingError(f'there is no project "{name}".', where="project")
        check_folder_name(name)
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
        try:
            found = Path(path).expanduser().resolve()
        except (OSError, RuntimeError, ValueError):  # a NUL in it, nobody's home, links that go round
            raise FieldError(f"{printable(path)}: cannot be a path.", where=field) from None
        if not any(found.is_relative_to(root) for root in (self.projects, *self.roots)):
            known = ", ".join(map(str, (self.projects, *self.roots)))
            raise FieldError(
                f"{path}: lies outside the folders that are open here.", where=field, hint=f"Open: {known}."
            )
        return found

    def version(self, name: str) -> str:
        """A text that is another one when something of the project has changed on disk; cheap."""
        root = self.projects / name
        told = hashlib.blake2b(self.images_version(name).encode(), digest_size=8)
        for place in _OF_THE_REST:
            told.update(_stamp(root / place))
        for folder in ("runs", "exams"):
            for inside in sorted((root / folder).glob("*")):
                told.update(_stamp(inside))
                told.update(_stamp(inside / "events.jsonl") + _stamp(inside / "figures.json"))
        return told.hexdigest()

    def images_version(self, name: str) -> str:
        """The same of its images, captions, tags and decisions, and of lora.toml."""
        return self._told(name, _OF_IMAGES, self.files_version(name))

    def files_version(self, name: str) -> str:
        """The same of its images and caption files alone, wherever [dataset] has them."""
        folders = [folder for root in self._image_roots(name) for folder in (root, *_folders(root))]
        told = hashlib.blake2b(self._told(name, (*_OF_FILES, *map(str, folders))).encode(), digest_size=8)
        told.update(self._captions_told(name, folders))
        return told.hexdigest()

    def _image_roots(self, name: str) -> list[Path]:
        """Where the project's images lie, by its lora.toml as it was read last."""
        stamp = _stamp(self.projects / name / FILE_NAME)
        known = self._roots.get(name)
        if known is None or known[0] != stamp:
            try:
                roots = image_roots(open_project(self.projects / name))
            except LorasmithError:
                roots = [self.projects / name / "images"]
            known = self._roots[name] = (stamp, roots)
        return known[1]

    def _captions_told(self, name: str, folders: Iterable[Path]) -> bytes:
        """The stamps of the caption files in these folders, at most _OLD_SECONDS old."""
        now = time.monotonic()
        known = self._captions.get(name)
        if known is None or now - known[0] > _OLD_SECONDS:
            told = hashlib.blake2b(digest_size=8)
            for folder in folders:
                for path in self._caption_files(folder):
                    told.update(_stamp_of(path))
            known = self._captions[name] = (now, told.digest())
        return known[1]

    def _caption_files(self, folder: Path) -> list[str]:
        """The caption files in a folder, listed anew when the folder has changed."""
        try:
            changed = folder.stat().st_mtime_ns
        except OSError:
            return []
        known = self._listed.get(folder)
        if known is None or known[0] != changed:
            with os.scandir(folder) as entries:
                found = sorted(entry.path for entry in entries if entry.name.lower().endswith(CAPTION_EXTENSIONS))
            known = self._listed[folder] = (changed, found)
        return known[1]

    def _told(self, name: str, places: Iterable[str], before: str = "") -> str:
        told = hashlib.blake2b(before.encode(), digest_size=8)
        for place in places:
            told.update(_stamp(self.projects / name / place))
        return told.hexdigest()


def _folders(root: Path) -> list[Path]:
    try:
        with os.scandir(root) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []


def _stamp(path: Path) -> bytes:
    told = _stamp_of(str(path))
    return f"{path.name}:".encode() + told if told != b"-" else told


def _stamp_of(path: str) -> bytes:
    try:
        known = os.stat(path)
    except OSError:
        return b"-"
    return f"{known.st_mtime_ns}:{known.st_size};".encode()
