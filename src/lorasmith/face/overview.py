"""A project in a few figures: what there is, and how far it has come on the road."""

from __future__ import annotations

from typing import Any

from lorasmith.dataset.reading import Dataset
from lorasmith.exam.history import exam_folders, read_figures
from lorasmith.project import Project
from lorasmith.training.runs.history import run_folders

_PICTURES = 4


def describe_project(project: Project, dataset: Dataset | None) -> dict[str, Any]:
    """Name, trigger, kind, counts, the last exam, and the sha256 of a few images to show. `dataset` is None where
    there are no images yet."""
    items = () if dataset is None else dataset.items
    step = max(1, len(items) // _PICTURES)
    exams = exam_folders(project)
    figures = next((found for folder in exams if (found := read_figures(folder)) is not None), None)
    return {
        "name": project.root.name,
        "adapter": project.lora.name,
        "trigger": project.lora.trigger,
        "subject": project.lora.subject.value,
        "base": project.lora.base,
        "images": len(items),
        "rejected": 0 if dataset is None else len(dataset.rejected),
        "captions": sum(1 for item in items if item.caption),
        "problems": 0 if dataset is None else len(dataset.problems),
        "runs": len(run_folders(project)),
        "exam": figures and {"verdict": figures.get("verdict"), "hit_rate": figures.get("figures", {}).get("hit_rate")},
        "pictures": [item.facts.sha256 for item in items[::step][:_PICTURES]],
        "changed": project.file.stat().st_mtime,
    }
