"""A second round: an adapter draws what no image shows, in a process of its own, and what is right comes among the
images."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter

from lorasmith.adapters.runs import newest_adapter
from lorasmith.events import Work
from lorasmith.exam.plan import last_pace
from lorasmith.jobs.detached import DetachedCommand
from lorasmith.project import Project
from lorasmith.server.native.errors import MISSING
from lorasmith.server.road.dependencies import ProjectName, TheProject, TheTasks, TheWorkshop
from lorasmith.server.road.schemas import rounds as schemas
from lorasmith.server.road.schemas.exams import ProcessAnswer
from lorasmith.server.road.schemas.tasks import TaskAnswer
from lorasmith.server.workshop import Workshop
from lorasmith.storage.files import write_file

router = APIRouter(prefix="/projects/{project}/rounds", tags=["rounds"], responses=MISSING)
_LAST = "page/round.json"


@router.get("", response_model=schemas.RoundAnswer)
def get_round(project: ProjectName, workshop: TheWorkshop) -> dict[str, Any]:
    """How the round under way stands, what the last one came to, and the plan of the next, where it is known."""
    opened = workshop.open(project)
    process = _process(opened)
    adapter = newest_adapter(opened.runs)
    return {
        "process": process.state().as_json(),
        "result": process.result(),
        "adapter": None if adapter is None else str(adapter),
        "plan": _read_plan(opened, workshop),
    }


@router.post("/plan", response_model=TaskAnswer, status_code=202)
def post_plan(project: ProjectName, workshop: TheWorkshop, tasks: TheTasks) -> dict[str, Any]:
    """Find out what a round with the newest adapter would draw, as a task; nothing is drawn."""
    from lorasmith.exam.second_round import plan_second_round

    opened = workshop.open(project)

    def plan() -> Work[dict[str, Any]]:
        version = _version(opened, workshop)
        document = (yield from plan_second_round(opened)).as_json()
        write_file(opened.cache / _LAST, json.dumps({"version": version, "plan": document}))
        return document

    return tasks.start(opened.root.name, "plan a round", plan).as_json()


@router.post("", response_model=ProcessAnswer, status_code=202)
def post_round(project: ProjectName, body: schemas.RoundRequest, workshop: TheWorkshop) -> dict[str, Any]:
    """Draw a round as `lorasmith curate round` does, or go on with it where it was stopped; what is kept is one step
    for undo. It runs in a process of its own: this server may end meanwhile. 409 while one is drawn."""
    with workshop.lock(project):
        opened = workshop.open(project)
        arguments = ["curate", "round", str(opened.root), "--events"]
        arguments += ["--count", str(body.count)] if body.count is not None else []
        return _process(opened).start(arguments).as_json()


@router.post("/stop", response_model=ProcessAnswer)
def post_stop(opened: TheProject) -> dict[str, Any]:
    """Stop the round under way; what it has drawn stays."""
    return _process(opened).stop().as_json()


def _process(project: Project) -> DetachedCommand:
    return DetachedCommand(project.cache / "page" / "round")


def _version(project: Project, workshop: Workshop) -> str:
    """Another one when a plan may be: other images, another lora.toml, another adapter, an exam that tells the pace."""
    images = workshop.images_version(project.root.name)
    return f"{images} {newest_adapter(project.runs)} {last_pace(project)}"


def _read_plan(project: Project, workshop: Workshop) -> dict[str, Any] | None:
    """The plan that was made last, unless something has changed since."""
    try:
        known = json.loads((project.cache / _LAST).read_text("utf-8"))
        return known["plan"] if known["version"] == _version(project, workshop) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
