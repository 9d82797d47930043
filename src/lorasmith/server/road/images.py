"""Images: the list, thumbnails, decisions with undo and redo, and what an inspection finds."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import FileResponse

from lorasmith.dataset.coverage import cover, divide
from lorasmith.dataset.decisions import Decision, read_decisions, record, redo, undo
from lorasmith.dataset.derive import CUTS, alter_images, check_operations, replace_clones
from lorasmith.dataset.inspection import Inspection
from lorasmith.dataset.listing import list_images
from lorasmith.dataset.rules import RULES
from lorasmith.dataset.selection import take_images
from lorasmith.dataset.thumbnails import make_thumbnail, nearest_side, thumbnail_place
from lorasmith.events import Work
from lorasmith.face.deciding import decide
from lorasmith.face.deriving import make_collage_of, make_dataset_of_one
from lorasmith.face.stages import inspect_images, tidy_images
from lorasmith.project import Project
from lorasmith.server.errors import FieldError, MissingError
from lorasmith.server.native.errors import MISSING
from lorasmith.server.road.dependencies import ProjectName, TheProject, TheReadings, TheTasks, TheWorkshop
from lorasmith.server.road.schemas import images as schemas
from lorasmith.server.road.schemas.tasks import TaskAnswer
from lorasmith.storage.files import write_file
from lorasmith.tags.review import RULE_TITLES

router = APIRouter(prefix="/projects/{project}", tags=["images"], responses=MISSING)
ImageId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The SHA256 of the image's file.")]
_KEPT_LONG = "private, max-age=31536000, immutable"
_AT_ONCE = threading.Semaphore(2)
"""Thumbnails that are made side by side: decoding takes cores from everything else."""
_LAST = "page/inspection.json"


@router.get("/images", response_class=Response, responses={200: {"content": {"application/json": {}}}})
def get_images(
    project: ProjectName,
    workshop: TheWorkshop,
    readings: TheReadings,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """All images, as `lorasmith.dataset.listing.list_images` says; with an ETag."""
    reading = readings.of(workshop, project)
    headers = {"etag": f'"{reading.version}"', "cache-control": "no-cache"}
    if if_none_match == headers["etag"]:
        return Response(status_code=304, headers=headers)
    document = list_images(reading.project, reading.dataset) | {"version": reading.version}
    return Response(json.dumps(document, separators=(",", ":")), media_type="application/json", headers=headers)


@router.get("/images/{image}/thumbnail", response_class=FileResponse)
def get_thumbnail(
    project: ProjectName,
    image: ImageId,
    workshop: TheWorkshop,
    readings: TheReadings,
    size: Annotated[int, Query(ge=16, le=1024, description="Its longer side in pixels, at most.")] = 256,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A small JPEG of an image, made once and kept."""
    side = nearest_side(size)
    headers = {"etag": f'"{image[:32]}-{side}"', "cache-control": _KEPT_LONG}
    if if_none_match == headers["etag"]:
        return Response(status_code=304, headers=headers)
    opened = workshop.open(project)
    place = thumbnail_place(opened, image, side)
    if not place.is_file():
        item = readings.of(workshop, project).by_content(image)
        if item is None:
            raise MissingError("there is no such image.", where="image")
        with _AT_ONCE:
            place = make_thumbnail(opened, item.path, image, side)
    return FileResponse(place, media_type="image/jpeg", headers=headers)


@router.post("/decisions", response_model=schemas.DecisionsAnswer, status_code=201)
def post_decisions(
    project: ProjectName, body: schemas.DecisionRequest, workshop: TheWorkshop, readings: TheReadings
) -> dict[str, Any]:
    """Decide about images; all together are one step."""
    with workshop.lock(project):
        reading = readings.of(workshop, project)
        chosen = take_images(reading.dataset, body.images)
        value = tuple(body.value) if isinstance(body.value, list) else body.value
        decisions = decide(reading.project, reading.dataset, chosen, body.verb, value, body.reason)
        return _decided(reading.project, record(reading.project, decisions))


@router.get("/decisions")
def get_decisions(opened: TheProject) -> dict[str, Any]:
    """The steps that stand, as `lorasmith curate log --json` tells them."""
    decisions = read_decisions(opened)
    steps = [[asdict(one) for one in step] for step in decisions.steps]
    return {"steps": steps, "problems": list(decisions.problems), "redo": len(decisions.redoable)}


@router.post("/decisions/undo", response_model=schemas.DecisionsAnswer)
def post_undo(project: ProjectName, workshop: TheWorkshop, body: schemas.Steps) -> dict[str, Any]:
    """Take back the last steps."""
    with workshop.lock(project):
        opened = workshop.open(project)
        return _decided(opened, undo(opened, body.steps))


@router.post("/decisions/redo", response_model=schemas.DecisionsAnswer)
def post_redo(project: ProjectName, workshop: TheWorkshop, body: schemas.Steps) -> dict[str, Any]:
    """Let what was undone last stand again."""
    with workshop.lock(project):
        opened = workshop.open(project)
        return _decided(opened, redo(opened, body.steps))


@router.post("/decisions/tidy", response_model=TaskAnswer, status_code=202)
def post_tidy(project: ProjectName, workshop: TheWorkshop, tasks: TheTasks) -> dict[str, Any]:
    """Reject what an inspection would take out, as a task; one step for undo."""

    def tidy() -> Work[dict[str, Any]]:
        with workshop.lock(project):
            cured = yield from tidy_images(workshop.open(project))
        return {"decisions": [asdict(one) for one in cured.decisions], "spared": list(cured.spared)}

    return tasks.start(workshop.open(project).root.name, "tidy", tidy).as_json()


@router.post("/made", response_model=TaskAnswer, status_code=202)
def post_made(
    project: ProjectName, body: schemas.MakeRequest, workshop: TheWorkshop, readings: TheReadings, tasks: TheTasks
) -> dict[str, Any]:
    """Make pictures from images, as a task: altered copies, a collage, a dataset of one. One step for undo."""
    reading = readings.of(workshop, project)
    chosen = take_images(reading.dataset, body.images)
    operations = check_operations(body.operations)
    if body.way != "clones" and not chosen:
        raise FieldError("no image is named.", where="images", hint="Select images first.")

    def make() -> Work[dict[str, Any]]:
        opened, dataset = reading.project, reading.dataset
        with workshop.lock(project):
            if body.way == "alter":
                made = yield from alter_images(opened, chosen, operations, count=body.count or 1, seed=body.seed)
            elif body.way == "clones":
                made = yield from replace_clones(opened, dataset, operations, seed=body.seed)
            elif body.way == "collage":
                made = yield from make_collage_of(opened, dataset, chosen, body.layout)
            else:
                boxes, names = [part.box for part in body.parts], [part.name for part in body.parts if part.name]
                made = yield from make_dataset_of_one(
                    *(opened, dataset, chosen, boxes, names),
                    mirrored=body.mirrored,
                    count=body.count or CUTS,
                    seed=body.seed,
                )
        return {"made": [picture.as_json() | {"name": picture.name} for picture in made]}

    return tasks.start(reading.project.root.name, "make", make).as_json()


@router.post("/findings", response_model=TaskAnswer, status_code=202)
def post_inspection(project: ProjectName, workshop: TheWorkshop, tasks: TheTasks) -> dict[str, Any]:
    """Look at all images, as a task; what was found is then kept for the page."""
    opened = workshop.open(project)

    def look() -> Work[dict[str, Any]]:
        version = workshop.images_version(project)
        _, inspection = yield from inspect_images(opened)
        document = _document(inspection)
        write_file(opened.cache / _LAST, json.dumps({"version": version, "document": document}))
        return {"findings": len(document["findings"])}

    return tasks.start(opened.root.name, "inspect", look).as_json()


@router.get("/findings", response_model=schemas.InspectionAnswer)
def get_findings(project: ProjectName, workshop: TheWorkshop) -> dict[str, Any]:
    """What the last inspection found: findings by rule, groups of look-alikes, the checklist of the kind's plan."""
    last: dict[str, Any] = {}
    try:
        last = json.loads((workshop.open(project).cache / _LAST).read_text("utf-8"))
    except (OSError, ValueError):
        last = {"version": "", "document": None}
    titles = {rule.id: rule.title for rule in RULES} | dict(RULE_TITLES)
    return {
        "document": last.get("document"),
        "stale": last.get("version") != workshop.images_version(project),
        "titles": titles,
    }


def _document(inspection: Inspection) -> dict[str, Any]:
    evidence = inspection.evidence
    coverage = [
        {"member": subset.name, **entry.as_json(), "names": list(entry.images)}
        for subset in divide(evidence)
        for entry in cover(evidence.subject, subset)
    ]
    return inspection.as_json() | {"coverage": coverage, "removable": list(inspection.removable)}


def _decided(project: Project, decisions: Sequence[Decision]) -> dict[str, Any]:
    now = read_decisions(project)
    return {
        "decisions": [asdict(one) for one in decisions],
        "names": list(dict.fromkeys(one.name for one in decisions)),
        "undo": len(now.steps),
        "redo": len(now.redoable),
    }
