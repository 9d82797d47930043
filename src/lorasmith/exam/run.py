"""Where everything an exam needs comes together: the base, the judge, the snapshots, the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.errors import ExamError
from lorasmith.events import Work
from lorasmith.exam.drawing import PipelineArtist
from lorasmith.exam.examination import examine
from lorasmith.exam.settings import read_settings
from lorasmith.exam.sources import caption_tags, find_judge, newest_snapshots
from lorasmith.exam.verdict import Verdict
from lorasmith.project import Project
from lorasmith.recipe.recipe import read_recipe

if TYPE_CHECKING:
    from lorasmith.bases.base import Base


def run_exam(
    project: Project,
    snapshots: Sequence[Path] | None = None,
    overrides: Mapping[str, Any] | None = None,
    base: Base | None = None,
) -> Work[Verdict]:
    """Examine the newest run (or `snapshots`) on the base; `overrides` go over [exam]. Raises ExamError."""
    settings = read_settings(project, overrides)
    files = [Path(path) for path in snapshots] if snapshots else newest_snapshots(project)
    missing = next((path for path in files if not path.is_file()), None)
    if missing is not None:
        raise ExamError("no such adapter file.", where=missing)
    captions = yield from caption_tags(project)
    recipe = read_recipe(project)
    judge, world = find_judge(project, settings, recipe.base, captions)
    if base is None:
        from lorasmith.bases.base import open_base

        base = open_base(recipe.base, settings.precision, "exam", recipe.stated_prediction, settings.weights)
    artist = PipelineArtist(base, files, settings, settings.clip_skip or recipe.clip_skip)
    verdict = yield from examine(project, files, artist, settings, judge, world)
    return verdict
