"""Captions: what each image's is and why, tags, rules tried before they are written, captioners."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from lorasmith.events import Work
from lorasmith.face.stages import gather_tags
from lorasmith.face.tagging import (
    change_settings,
    correct_captions,
    count_changes,
    find_contradictions,
    images_with,
    try_settings,
    undo_settings,
)
from lorasmith.project import Project
from lorasmith.server.errors import FieldError
from lorasmith.server.native.errors import MISSING
from lorasmith.server.road.dependencies import ProjectName, TheReadings, TheTasks, TheWorkshop
from lorasmith.server.road.readings import Reading
from lorasmith.server.road.schemas import captions as schemas
from lorasmith.server.road.schemas.tasks import TaskAnswer
from lorasmith.tags.endpoint import caption_cost
from lorasmith.tags.explanation import explain
from lorasmith.tags.inputs import order_rules
from lorasmith.tags.rules import RULES
from lorasmith.tags.settings import TagsTable, read_settings
from lorasmith.tags.store import read_vocabulary
from lorasmith.tags.words import tag_key

router = APIRouter(prefix="/projects/{project}", tags=["captions"], responses=MISSING)
_SHOWN = 200
_COMPLETIONS = 12


@router.get("/captions", response_model=schemas.CaptionsAnswer)
def get_captions(project: ProjectName, workshop: TheWorkshop, readings: TheReadings) -> dict[str, Any]:
    """All captions as `lorasmith tag --json` tells them."""
    reading = readings.of(workshop, project)
    ids = {item.name: item.facts.sha256 for item in reading.dataset.items}
    return reading.captioning.as_json() | {"ids": ids} | _steps(reading.project)


@router.get("/captions/explained")
def get_explained(
    project: ProjectName,
    image: Annotated[str, Query(max_length=1000)],
    workshop: TheWorkshop,
    readings: TheReadings,
) -> dict[str, Any]:
    """What each rule did to one image's tags, as `lorasmith tag --explain IMAGE --json`, and the `scores` that the
    tagger gave them."""
    inputs = readings.of(workshop, project).inputs
    explanation = explain(inputs, image)
    raw = inputs.raw[explanation.image]
    return explanation.as_json() | {"scores": dict(raw.scores), "sentence": raw.sentence}


@router.post("/captions", response_model=schemas.RulesAnswer, status_code=201)
def post_correction(
    project: ProjectName, body: schemas.CorrectionRequest, workshop: TheWorkshop, readings: TheReadings
) -> dict[str, Any]:
    """Add tags to images and take tags from them, in [tags.images]."""
    with workshop.lock(project):
        reading = readings.of(workshop, project)
        known = {item.name for item in (*reading.dataset.items, *reading.dataset.rejected)}
        for name in body.images:
            if name not in known:
                raise FieldError(f'no image "{name}".', where="images", hint="It may have gone; read the list again.")
        correct_captions(workshop.open(project), body.images, body.add, body.remove)
        return _rules(readings.of(workshop, project))


@router.get("/tags")
def get_tags(project: ProjectName, workshop: TheWorkshop, readings: TheReadings) -> dict[str, Any]:
    """How often each tag stands where, as `lorasmith tag --table --json`, and the `contradictions`."""
    reading = readings.of(workshop, project)
    return reading.tags.as_json() | {"contradictions": find_contradictions(reading.inputs)}


@router.get("/tags/images")
def get_images_with(
    project: ProjectName,
    tag: Annotated[str, Query(max_length=500)],
    workshop: TheWorkshop,
    readings: TheReadings,
) -> dict[str, list[str]]:
    """The images with a tag: in their `raw` tags, and `left` in their captions."""
    reading = readings.of(workshop, project)
    return images_with(reading.inputs, reading.captioning, tag)


@router.get("/tags/complete")
def get_completions(
    project: ProjectName,
    text: Annotated[str, Query(max_length=200)],
    workshop: TheWorkshop,
    readings: TheReadings,
) -> dict[str, Any]:
    """Tags for what is being typed: the project's own by how frequent they are, then the tagger's."""
    reading = readings.of(workshop, project)
    key = tag_key(text)
    counts = {row.tag: row.images for row in reading.tags.rows}
    vocabulary = read_vocabulary(reading.project, reading.inputs.settings.tagger)
    known = dict.fromkeys((*counts, *(name.replace("_", " ") for name in vocabulary)))
    found = [tag for tag in known if key in tag_key(tag)]
    found.sort(key=lambda tag: (not tag_key(tag).startswith(key), -counts.get(tag, 0), len(tag)))
    return {"tags": [{"tag": tag, "images": counts.get(tag, 0)} for tag in found[:_COMPLETIONS]]}


@router.get("/rules", response_model=schemas.RulesAnswer)
def get_rules(project: ProjectName, workshop: TheWorkshop, readings: TheReadings) -> dict[str, Any]:
    """The rules in the order in which they work, what each changes, and every key of [tags]."""
    return _rules(readings.of(workshop, project))


@router.post("/rules/diff", response_model=schemas.DiffAnswer)
def post_diff(
    project: ProjectName, body: schemas.SettingsChange, workshop: TheWorkshop, readings: TheReadings
) -> dict[str, Any]:
    """What changed keys of [tags] would do to all captions; nothing is written."""
    reading = readings.of(workshop, project)
    trial = try_settings(reading.project, reading.dataset, reading.captioning, body.set)
    return {
        "changed": len(trial.changes),
        "images": len(reading.dataset.items),
        "changes": [vars(change) for change in trial.changes[:_SHOWN]],
        "rules": [vars(rule) for rule in trial.rules],
    }


@router.patch("/rules", response_model=schemas.RulesAnswer)
def patch_rules(
    project: ProjectName, body: schemas.SettingsChange, workshop: TheWorkshop, readings: TheReadings
) -> dict[str, Any]:
    """Write keys of [tags] to lora.toml; its comments stay."""
    with workshop.lock(project):
        change_settings(workshop.open(project), body.set)
        return _rules(readings.of(workshop, project))


@router.post("/rules/{way}", response_model=schemas.RulesAnswer)
def post_step(
    project: ProjectName, way: Annotated[schemas.Way, Path()], workshop: TheWorkshop, readings: TheReadings
) -> dict[str, Any]:
    """Take the last change of [tags] back, or let it be again."""
    with workshop.lock(project):
        undo_settings(workshop.open(project), redo=way == "redo")
        return _rules(readings.of(workshop, project))


@router.get("/captioner", response_model=schemas.CaptionerAnswer)
def get_captioner(project: ProjectName, workshop: TheWorkshop, readings: TheReadings) -> dict[str, Any]:
    """The captioner of [tags.captioner], and what asking it would send where."""
    reading = readings.of(workshop, project)
    table = read_settings(reading.project).captioner
    cost = caption_cost(reading.project, reading.dataset, table).as_json() if table.url else None
    return table.model_dump() | {"cost": cost}


@router.post("/captions/gather", response_model=TaskAnswer, status_code=202)
def post_gather(
    project: ProjectName, body: schemas.GatherRequest, workshop: TheWorkshop, readings: TheReadings, tasks: TheTasks
) -> dict[str, Any]:
    """Let a tagger or the captioner look at the images, as a task; what it has seen stays when it is stopped."""
    reading = readings.of(workshop, project)
    address = read_settings(reading.project).captioner.url if body.captioner else None
    if address == "":
        raise FieldError("no address is set.", where="captioner", hint="Set the captioner's address first.")
    if address is None and not body.tagger:
        raise FieldError("nobody is named.", where="tagger", hint='Name a tagger, such as "doodle".')

    def gather() -> Work[dict[str, Any]]:
        found = yield from gather_tags(
            reading.project,
            reading.dataset,
            tagger=body.tagger,
            captioner=address,
            again=body.again,
            consent=body.consent,
        )
        return {"tagged": found.tagged, "captioned": found.captioned}

    return tasks.start(project, "caption" if body.captioner else "tag", gather).as_json()


def _steps(project: Project) -> dict[str, int]:
    undo, redo = count_changes(project)
    return {"undo": undo, "redo": redo}


def _rules(reading: Reading) -> dict[str, Any]:
    settings = reading.inputs.settings
    everything = order_rules(settings.model_copy(update={"off": ()}), reading.project.where("tags"))
    changed = {effect.name: effect.changed for effect in reading.captioning.rules}
    assert len(everything) == len(RULES)
    rules = [
        {
            "name": rule.name,
            "id": rule.id,
            "why": rule.why,
            "on": rule.name in changed,
            "changed": changed.get(rule.name),
        }
        for rule in everything
    ]
    given = reading.project.table("tags")
    defaults = TagsTable.model_validate({}).model_dump(mode="json")
    values = settings.model_dump(mode="json")
    keys = [
        {
            "key": key,
            "meaning": field.description or "",
            "value": values[key],
            "default": defaults[key],
            "is_set": key in given,
        }
        for key, field in TagsTable.model_fields.items()
    ]
    return {"rules": rules, "settings": keys} | _steps(reading.project)
