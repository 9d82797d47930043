"""The exams that lie in a project: finished ones with their documents and pictures, and unfinished ones."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from lorasmith.exam.answers import ANSWERS
from lorasmith.exam.folder import FIGURES, KEPT, ORDER
from lorasmith.project import Project


def exam_folders(project: Project) -> list[Path]:
    """The folders of exams, the newest first, finished or not."""
    found = {file.parent for file in project.exams.glob(f"*/{FIGURES}")}
    found |= {file.parents[1] for file in project.exams.glob(f"*/{KEPT}/{ORDER}")}
    return sorted(found, key=lambda folder: folder.name, reverse=True)


def read_figures(folder: Path) -> dict[str, Any] | None:
    """The document of an exam; None while it is not finished."""
    with suppress(OSError, ValueError):
        document = json.loads((folder / FIGURES).read_text("utf-8"))
        return document if isinstance(document, dict) else None
    return None


def read_answers(folder: Path) -> list[dict[str, Any]]:
    """Its pictures with what was judged; none of an exam of an earlier version."""
    with suppress(OSError, ValueError, KeyError):
        answers = json.loads((folder / "answers" / ANSWERS).read_text("utf-8"))["answers"]
        return [each for each in answers if isinstance(each, dict)]
    return []
