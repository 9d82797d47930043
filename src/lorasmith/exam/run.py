"""Where everything an exam needs comes together: the base, the judge, the snapshots, the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.errors import ExamError
from lorasmith.events import Note, Work
from lorasmith.exam.crew import hire
from lorasmith.exam.examination import examine
from lorasmith.exam.nominees import nominate, with_average
from lorasmith.exam.questions import Paper
from lorasmith.exam.settings import read_settings
from lorasmith.exam.sheets.file import read_sheet, write_sheet
from lorasmith.exam.sources import caption_tags, find_encoder, find_judge, find_partners, newest_snapshots
from lorasmith.exam.training_set import look_at_training_set
from lorasmith.exam.verdict import Verdict
from lorasmith.project import Project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.storage.files import refuse_existing, write_file

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
    encoder = find_encoder(project, settings)
    if not snapshots:
        most = settings.candidates
        files = with_average(files, most, project.cache) if settings.average else nominate(files, most)
    partners = yield from find_partners(project, settings, judge, world, recipe.base)
    every = [*files, *(partner.file for partner in partners)]
    with hire(recipe, every, settings, base) as crew:
        if settings.blocks_to_swap and not crew.swaps:
            yield Note(
                f"[exam] blocks_to_swap = {settings.blocks_to_swap} does nothing on a CPU, which has one memory."
            )
        sheet = None if settings.questions is None else project.root / Path(settings.questions).expanduser()
        given = {} if sheet is None else read_sheet(sheet, project.lora.trigger, judge.groups)
        verdict = yield from examine(project, files, crew, settings, judge, world, encoder, partners, given)
    return verdict


def write_questions_of(project: Project, file: Path, overrides: Mapping[str, Any] | None = None) -> Work[Path]:
    """Write the questions that an exam of this project asks to `file`, to be changed by hand; nothing is drawn.

    Raises ExamError, and StorageError for a file that exists.
    """
    settings = read_settings(project, overrides)
    captions = yield from caption_tags(project)
    judge, world = find_judge(project, settings, read_recipe(project).base, captions)
    subject, _ = yield from look_at_training_set(project, settings, judge, world, True)
    refuse_existing(file)
    return write_file(file, write_sheet(Paper(subject, world, settings.seed)))
