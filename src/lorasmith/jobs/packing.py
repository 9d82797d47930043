"""A project as one file, for a machine elsewhere: what training reads, without runs, caches and whatever is hidden."""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lorasmith.dataset.settings import read_settings
from lorasmith.dataset.stored import image_roots
from lorasmith.errors import ProjectError
from lorasmith.events import Progress, Work
from lorasmith.project import Project
from lorasmith.recipe.recipe import Recipe
from lorasmith.remedies import Action, Do
from lorasmith.storage.files import replacing
from lorasmith.storage.remote import url_of
from lorasmith.tags.store import FILE_NAME as TAGS

LEFT_OUT = frozenset({"runs", "exams", "build"})
"""Folders of a project that training does not read."""
_EVERY = 1.0
"""Seconds from one word on how far it is to the next."""


@dataclass(frozen=True)
class Package:
    """The file, its bytes, how many files are in it, and the SHA-256 of names and contents."""

    file: Path
    size: int
    count: int
    sha256: str


def pack_project(project: Project, recipe: Recipe, file: Path, skipped: Sequence[Path] = ()) -> Work[Package]:
    """Write the project's files into a tar, whole or not at all; the same files give the same bytes.

    Raises ProjectError where the recipe reads what lies outside of the project's folder, or behind a URL; StorageError.
    """
    _refuse_outside(project, recipe)
    members = _members(project, {file.resolve(), *(path.resolve() for path in skipped)})
    digest = hashlib.sha256()
    begun = told = time.monotonic()
    with tempfile.TemporaryDirectory() as place, replacing(file) as partial:
        if (project.cache / TAGS).is_file():
            members.append((f"{project.cache.name}/{TAGS}", _copy_database(project.cache / TAGS, Path(place))))
        with tarfile.open(partial, "w") as tar:
            for number, (name, path) in enumerate(members):
                _add(tar, name, path, digest)
                if time.monotonic() > told + _EVERY:
                    told = time.monotonic()
                    eta = (told - begun) / (number + 1) * (len(members) - number - 1)
                    yield Progress("packing", number + 1, len(members), round(eta, 1))
        size = partial.stat().st_size
    return Package(file, size, len(members), digest.hexdigest())


def is_inside(project: Project, path: Path) -> bool:
    """Whether a path, which may be relative to the project's folder, lies in it."""
    return (project.root / path.expanduser()).resolve().is_relative_to(project.root)


def _refuse_outside(project: Project, recipe: Recipe) -> None:
    named = f"{project.where('dataset')}: images"
    for url in filter(None, map(url_of, read_settings(project).images)):
        raise ProjectError(
            f"{url} lies behind a URL, and does not travel with the project.",
            where=named,
            hint="Copy it into the project and name that folder there, or make a project of it:",
            remedy=Do(Action.NEW, project="FOLDER", images=url),
        )
    read = [(named, folder) for folder in image_roots(project)]
    where = project.where("recipe")
    if recipe.preserve.kind == "images":
        read.append((f"{where}: preserve.folder", Path(recipe.preserve.folder)))
    if recipe.loss.mask == "files":
        read.append((f"{where}: loss.mask_folder", Path(recipe.loss.mask_folder)))
    for what, folder in read:
        if not is_inside(project, folder):
            raise ProjectError(
                f"{folder} lies outside of the project's folder, and does not travel with it.",
                where=what,
                hint="Move it into the project's folder; images can be added with:",
                remedy=Do(Action.ADD, project=project.root, images=folder),
            )


def _members(project: Project, skipped: set[Path]) -> list[tuple[str, Path]]:
    """Name in the tar and path of each file, in the order of names."""
    follows = read_settings(project).follow_links
    found: dict[str, Path] = {}
    for folder, folders, files in os.walk(project.root, followlinks=follows):
        here = Path(folder)
        top = here == project.root
        folders[:] = [name for name in folders if not name.startswith(".") and not (top and name in LEFT_OUT)]
        for name in files:
            path = here / name
            if name.startswith(".") or not path.is_file() or path.resolve() in skipped:
                continue
            if follows or path.resolve().is_relative_to(project.root):
                found[path.relative_to(project.root).as_posix()] = path
    return sorted(found.items())


def _add(tar: tarfile.TarFile, name: str, path: Path, digest: hashlib._Hash) -> None:
    entry = tarfile.TarInfo(name)
    with path.open("rb") as data:
        entry.size, entry.mode = os.fstat(data.fileno()).st_size, 0o644
        digest.update(f"{name}\0{entry.size}\0".encode("utf-8", "surrogateescape"))
        tar.addfile(entry, _Hashed(data, digest))


class _Hashed(io.RawIOBase):
    """Reads on, and digests what it reads."""

    def __init__(self, data: IO[bytes], digest: hashlib._Hash) -> None:
        self._data = data
        self._digest = digest

    def read(self, size: int = -1) -> bytes:
        data = self._data.read(size)
        self._digest.update(data)
        return data


def _copy_database(file: Path, place: Path) -> Path:
    """A whole copy, whoever writes meanwhile."""
    copy = place / file.name
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy
