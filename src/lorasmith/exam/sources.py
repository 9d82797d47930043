"""Where the examined files lie: the snapshots of a project's newest run, and the judge and world of its base."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path

from lorasmith.adapters.container import read_header
from lorasmith.adapters.recommendation import Recommendation
from lorasmith.adapters.runs import newest_adapters
from lorasmith.bases.tag_space import TagSpace, read_tag_space
from lorasmith.errors import ExamError, LorasmithError
from lorasmith.events import Work
from lorasmith.exam.judges import Judge, exact_judge, recall_judge
from lorasmith.exam.settings import ExamTable, read_settings
from lorasmith.exam.sheets.kinds import asks_of, contradictions
from lorasmith.exam.stacking import Partner
from lorasmith.exam.training_set import look_at_training_set
from lorasmith.project import EMBEDDED, FILE_NAME, Project, open_project
from lorasmith.remedies import Action, Do
from lorasmith.tags.encoders import Encoder, open_encoder, tagger_encoder
from lorasmith.tags.words import split_tags, without_trigger

#: What an adapter's header may say that a judge must see of it: a JSON table of the judge's groups.
IDENTITY = "lorasmith.identity"
#: C3: usable at this strength.
USUAL = 0.8


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
    usual = asks_of(str(project.lora.subject))
    contrary = [value for trait in settings.identity for value in contradictions(trait)]
    return recall_judge(folder, (*settings.identity, *settings.ask, *captions, *usual, *contrary)), None


def find_encoder(project: Project, settings: ExamTable) -> Encoder | None:
    """The encoder that [exam] likeness names, or None for "none" and where the judge's tagger has none inside.

    Raises ExamError for a folder or hub id that holds none.
    """
    if settings.likeness == "none":
        return None
    if settings.likeness != "auto":
        folder = project.root / Path(settings.likeness).expanduser()
        return open_encoder(folder if folder.is_dir() else settings.likeness)
    if settings.judge == "exact":
        return tagger_encoder(EMBEDDED)
    try:
        return tagger_encoder((project.root / settings.judge).resolve())
    except LorasmithError:
        return None


def find_partners(
    project: Project, settings: ExamTable, judge: Judge, world: TagSpace | None, base: str
) -> Work[list[Partner]]:
    """The adapters to stack with: [exam] beside, and on the embedded base those of the shipped examples, but for one
    that is called as this project's own. Raises ExamError for a file that is not there."""
    if not settings.stacking_pictures:
        return []
    given = [(project.root / Path(name).expanduser()).resolve() for name in settings.beside]
    missing = next((file for file in given if not file.is_file()), None)
    if missing is not None:
        raise ExamError("no such adapter file.", where=missing)
    partners = []
    for file in dict.fromkeys([*given, *(_shipped() if base == EMBEDDED else ())]):
        partner = yield from _read_partner(file, judge, world)
        if partner.trigger != project.lora.trigger:
            partners.append(partner)
    return partners


def _shipped() -> list[Path]:
    """The shipped examples' own adapters. Data of a higher layer: only its place is known here."""
    with as_file(files("lorasmith") / "examples") as folder:
        return sorted(folder.glob("*/adapter.safetensors"))


def _read_partner(file: Path, judge: Judge, world: TagSpace | None) -> Work[Partner]:
    """How it is called stands in its header; what it should show, too (shipped ones), or in the project that it lies
    in."""
    metadata = read_header(file).metadata
    trigger, strength = metadata.get("modelspec.trigger_phrase", ""), _recommended(metadata)
    told = _told_identity(metadata, judge)
    if told:
        return Partner(file, metadata.get("modelspec.title") or file.stem, trigger, strength, told)
    try:
        project, _ = find_project(file)
        own = read_settings(project)
        subject, _ = yield from look_at_training_set(project, own, judge, world, True)
    except LorasmithError:
        return Partner(file, file.stem, trigger, strength, {})
    return Partner(file, project.lora.name, project.lora.trigger, strength, subject.identity)


def _told_identity(metadata: Mapping[str, str], judge: Judge) -> dict[str, str]:
    """The traits of a header, by the judge's groups; nothing unless this judge knows every one of them."""
    try:
        told = json.loads(metadata.get(IDENTITY, "{}"))
    except ValueError:
        return {}
    known = {name: group.of(str(told[name])) for name, group in judge.groups.items() if name in told} if told else {}
    return {n: tag for n, tag in known.items() if tag} if all(known.values()) and len(known) == len(told) else {}


def _recommended(metadata: Mapping[str, str]) -> float:
    """The strength that an adapter's header recommends, or the usual one (C3)."""
    recommended = Recommendation.read(metadata)
    return USUAL if recommended is None else recommended.strength


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
