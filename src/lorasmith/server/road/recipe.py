"""Recipe and plan: the form, changes of lora.toml, another trainer's file, what training would do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from lorasmith.errors import RecipeError
from lorasmith.events import Event, Note
from lorasmith.face.stages import plan_training
from lorasmith.pools.choosing import dealt_out
from lorasmith.project import Project, safe_name
from lorasmith.recipe.edits import edit_project
from lorasmith.recipe.exchange.reading import into_project, read_file
from lorasmith.recipe.form import recipe_form
from lorasmith.recipe.overrides import write_value
from lorasmith.server.native.errors import MISSING
from lorasmith.server.road.dependencies import ProjectName, TheProject, TheTasks, TheWorkshop
from lorasmith.server.road.schemas import recipe as schemas
from lorasmith.server.workshop import Workshop

router = APIRouter(prefix="/projects/{project}", tags=["recipe"], responses=MISSING)


@router.get("/recipe/form", response_model=schemas.RecipeFormAnswer)
def get_form(opened: TheProject) -> dict[str, Any]:
    """The recipe as a form: groups, kinds, ranges, meanings, what the preset says, what the project says."""
    return _form(opened)


@router.patch("/recipe", response_model=schemas.RecipeFormAnswer)
def patch_recipe(project: ProjectName, body: schemas.RecipeChange, workshop: TheWorkshop) -> dict[str, Any]:
    """Set and take out keys of lora.toml; its comments stay. An unknown key or a wrong value is 422, and nothing is
    written."""
    with workshop.lock(project):
        return _form(edit_project(workshop.open(project), body.set, body.unset))


@router.post("/recipe/import", response_model=schemas.ImportAnswer)
async def post_import(
    project: ProjectName,
    request: Request,
    workshop: TheWorkshop,
    name: Annotated[str, Query(max_length=200, description="The file's name.")],
    write: Annotated[bool, Query(description="Put it into lora.toml; else it is only read.")] = False,
) -> dict[str, Any]:
    """The recipe in another trainer's file, which is the request's body, or in an adapter's header."""
    body = await request.body()
    return await run_in_threadpool(_import, workshop, project, name, body, write)


@router.post("/plan")
def post_plan(project: ProjectName, body: schemas.TrySettings, opened: TheProject, tasks: TheTasks) -> dict[str, Any]:
    """What training would do, as `lorasmith plan --json` tells it, and the `warnings`. What takes a while is told of as
    a task."""
    warnings: list[str] = []

    def see(event: Event) -> None:
        if isinstance(event, Note) and event.level != "note":
            warnings.append(event.message)

    settings = {key: write_value(value) for key, value in body.settings.items()}
    work = plan_training(opened, settings, rehearse=body.rehearse, probe=body.probe)
    with dealt_out():
        planned = tasks.follow(project, "plan", work, see)
    return planned.as_json() | {"warnings": warnings}


def _form(project: Project) -> dict[str, Any]:
    return recipe_form(project).as_json() | {"sweep": dict(project.table("sweep"))}


def _import(workshop: Workshop, project: str, name: str, body: bytes, write: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / safe_name(name)
        file.write_bytes(body)
        try:
            imported = read_file(file)
        except RecipeError as fault:
            raise RecipeError(fault.message, where=name, hint=fault.hint) from None
    if write:
        with workshop.lock(project):
            into_project(imported, workshop.open(project))
    return imported.as_json() | {"written": write}
