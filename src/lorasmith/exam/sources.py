"""Where the examined files lie: the snapshots of a project's newest run, and the judge and world of its base."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lorasmith.adapters.runs import newest_adapters
from lorasmith.bases.tag_space import TagSpace, read_tag_space
from lorasmith.errors import ExamError
from lorasmith.events import Work
from lorasmith.exam.judges import Judge, exact_judge, recall_judge
from lorasmith.exam.settings import ExamTable
from lorasmith.project import EMBEDDED, FILE_NAME, Project, open_project
from lorasmith.remedies import Action, Do
from lorasmith.tags.words import split_tags, without_trigger


def find_project(path: Path) -> tuple[Project, Path | None]:
    """The project of a folder, or of an adapter file inside one (the file comes back too). Raises ExamError."""
    if path.suffix != ".safetensors":
        return open_project(path), None
    if not path.is_file():
        raise ExamError("no such adapter file.", where=path)
    for folder in path.resolve().parents:
        if (folder / FILE_NAME).is_file():
            return open_project(folder), path.resolve()
    raise ExamError(
        "this adapter lies in no project, so nobody knows what it should have learnt.",
        where=path,
        hint="Say which:",
        remedy=Do(Action.EXAMINE, project="PROJECT", snapshots="FILE"),
    )


def newest_snapshots(project: Project) -> list[Path]:
    """The snapshots of the newest run that has any, earliest first, the final adapter last. Raises ExamError."""
    found = newest_adapters(project.runs)
    if found:
        return found
    raise ExamError("no adapter was trained yet.", where=project.root, remedy=Do(Action.TRAIN, project=project.root))


def find_judge(
    project: Project, settings: ExamTable, base: str, captions: Sequence[str] = ()
) -> tuple[Judge, TagSpace | None]:
    """The judge that [exam] names and the world of `base`, if it has one. Raises ExamError.

    `captions`: all tags that a tag judge shall look for besides [exam] identity and ask.
    """
    world = _world(base)
    if settings.judge == "exact":
        if base != EMBEDDED:
            raise ExamError(
                f"the exact judge knows the pictures of {EMBEDDED} only, and this base is {base}.",
                where=project.where("exam"),
                hint="Name the folder of a tagger in the WD14 layout: judge = FOLDER.",
            )
        from lorasmith.bases.doodle import tagger_folder

        return exact_judge(tagger_folder()), world
    folder = (project.root / settings.judge).resolve()
    if not folder.is_dir():
        raise ExamError("no such tagger folder.", where=folder, hint='[exam] judge names a folder, or is "exact".')
    if (folder / "groups.json").is_file():
        return exact_judge(folder), world
    return recall_judge(folder, (*settings.identity, *settings.ask, *captions)), None


def caption_tags(project: Project) -> Work[tuple[str, ...]]:
    """Every tag of the project's captions without the trigger, once."""
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.tags.pipeline import write_captions

    dataset = yield from read_dataset(project)
    captions = write_captions(project, dataset).captions.values()
    return tuple(
        dict.fromkeys(tag for text in captions for tag in split_tags(without_trigger(text, project.lora.trigger)))
    )


def _world(base: str) -> TagSpace | None:
    if base != EMBEDDED:
        return None
    from lorasmith.bases.doodle import world

    return read_tag_space(world())
