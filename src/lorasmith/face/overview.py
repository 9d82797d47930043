"""A project in a few figures: what there is, and how far it has come on the road."""

from __future__ import annotations

import json
from typing import Any

from lorasmith.dataset.reading import Dataset
from lorasmith.exam.history import exam_folders, read_figures
from lorasmith.project import Project
from lorasmith.storage.files import write_file
from lorasmith.training.runs.history import run_folders

_PICTURES = 4
_COUNTS = "counts.json"


def count_images(dataset: Dataset | None) -> dict[str, Any]:
    """How many images, captions and problems there are, and the sha256 of a few images to show. `dataset` is None
    where there are no images yet."""
    items = () if dataset is None else dataset.items
    step = max(1, len(items) // _PICTURES)
    return {
        "images": len(items),
        "rejected": 0 if dataset is None else len(dataset.rejected),
        "captions": sum(1 for item in items if item.caption),
        "problems": 0 if dataset is None else len(dataset.problems),
        "pictures": [item.facts.sha256 for item in items[::step][:_PICTURES]],
    }


def keep_counts(project: Project, version: str, counts: dict[str, Any]) -> None:
    """Keep what `count_images` told at a version of what lies on the disk: reading ten thousand images takes a
    while."""
    write_file(project.cache / _COUNTS, json.dumps({"version": version, "counts": counts}))


def read_counts(project: Project, version: str) -> dict[str, Any] | None:
    """What was kept at this version."""
    try:
        document = json.loads((project.cache / _COUNTS).read_text("utf-8"))
        counts = document["counts"] if document["version"] == version else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return counts if isinstance(counts, dict) and counts.keys() == count_images(None).keys() else None


def describe_project(project: Project, counts: dict[str, Any]) -> dict[str, Any]:
    """Name, trigger, kind, the last exam, and what `count_images` told."""
    exams = exam_folders(project)
    figures = next((found for folder in exams if (found := read_figures(folder)) is not None), None)
    return {
        "name": project.root.name,
        "adapter": project.lora.name,
        "trigger": project.lora.trigger,
        "subject": project.lora.subject.value,
        "base": project.lora.base,
        "runs": len(run_folders(project)),
        "exam": figures and {"verdict": figures.get("verdict"), "hit_rate": figures.get("figures", {}).get("hit_rate")},
        **counts,
        "changed": project.file.stat().st_mtime,
    }
