"""The folder of one exam, exams/<id>/: a new one, or that of an exam with the same questions that was not finished."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from lorasmith.errors import ExamError
from lorasmith.exam.looks import Kept
from lorasmith.exam.settings import ExamTable
from lorasmith.exam.stacking import Partner
from lorasmith.exam.subject import Subject
from lorasmith.project import Project, safe_name
from lorasmith.storage.files import replacing, write_file
from lorasmith.storage.locks import HeldError, hold

if TYPE_CHECKING:
    from PIL.Image import Image

KEPT, ORDER, FIGURES, LOCK = "kept", "exam.json", "figures.json", "lock"


@dataclass
class ExamFolder:
    """`resumed`: it holds what an exam with the same order has drawn. Held by one process while it is entered."""

    path: Path
    kept: Kept
    resumed: bool
    _lock: list[BinaryIO] = field(default_factory=list)

    def discard(self) -> None:
        """Take the folder away: nobody can go on with this exam, nor read it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> ExamFolder:
        assert self.kept.folder is not None
        with contextlib.suppress(OSError):  # where nothing can be locked, nobody is kept out
            try:
                self._lock.append(hold(self.kept.folder / LOCK))
            except HeldError as held:
                hint = "Wait until it has ended, or stop that process."
                raise ExamError(f"{held.whose} holds this exam already.", where=self.path, hint=hint) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        for lock in self._lock:
            lock.close()
        self._lock.clear()


def open_folder(
    project: Project,
    settings: ExamTable,
    snapshots: Sequence[Path],
    subject: Subject,
    training: Sequence[Image],
    partners: Sequence[Partner],
) -> ExamFolder:
    """The folder of this exam. Another order (other questions, files, images) is another exam. Raises StorageError."""
    order = order_of(project, settings, snapshots, subject, training, partners)
    for file in sorted(project.exams.glob(f"*/{KEPT}/{ORDER}"), reverse=True):
        folder = file.parents[1]
        if not (folder / FIGURES).exists() and _read(file) == order:
            return ExamFolder(folder, Kept(file.parent), True)
    path = _new_folder(project.exams, project.lora.name)
    with replacing(path) as partial:
        write_file(partial / KEPT / ORDER, json.dumps({"order": order}) + "\n")
    return ExamFolder(path, Kept(path / KEPT), False)


def order_of(
    project: Project,
    settings: ExamTable,
    snapshots: Sequence[Path],
    subject: Subject,
    training: Sequence[Image],
    partners: Sequence[Partner] = (),
) -> str:
    """A hash of all that an exam's figures depend on, or what is drawn for it."""
    files = [*snapshots, *(partner.file for partner in partners)]
    parts = [
        settings.model_dump(mode="json"),
        [(str(path), _content(path)) for path in files],
        [project.lora.base, [hashlib.sha256(image.tobytes()).hexdigest() for image in training]],
        [subject.trigger, dict(subject.identity), subject.captions, dict(subject.unseen)],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _content(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def _read(file: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(file.read_text("utf-8"))
        return str(found.get("order")) if isinstance(found, dict) else None
    return None


def _new_folder(exams: Path, name: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = exams / f"{stamp}-{safe_name(name)}"
    number = 2
    while folder.exists():
        folder = exams / f"{stamp}-{safe_name(name)}-{number}"
        number += 1
    return folder
