"""The adapter that a person chose, whatever exams say: exams/chosen.json."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

from lorasmith.errors import ExamError
from lorasmith.project import Project
from lorasmith.storage.files import write_file

FILE = "chosen.json"


def choose_adapter(project: Project, file: Path) -> Path:
    """Keep that this is the adapter to use; it must lie in the project. Raises ExamError, StorageError."""
    place = file if file.is_absolute() else project.root / file
    place = place.resolve()
    if place.suffix != ".safetensors" or not place.is_file():
        raise ExamError("no such adapter file.", where=file, hint="Name a snapshot of a run, or what an exam made.")
    if not place.is_relative_to(project.root):
        raise ExamError("this adapter lies in another place than the project.", where=file)
    document = {"adapter": place.relative_to(project.root).as_posix(), "time": time.time()}
    project.exams.mkdir(parents=True, exist_ok=True)
    write_file(project.exams / FILE, json.dumps(document) + "\n")
    return place


def chosen_adapter(project: Project) -> Path | None:
    """The adapter that a person chose last, unless an exam ended after that or the file is gone."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        document = json.loads((project.exams / FILE).read_text("utf-8"))
        place = project.root / str(document["adapter"])
        ended = [file.stat().st_mtime for file in project.exams.glob("*/figures.json")]
        if place.is_file() and float(document["time"]) >= max(ended, default=0.0):
            return place
    return None
