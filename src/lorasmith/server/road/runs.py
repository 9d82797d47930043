"""Runs: started, stopped and gone on with through the queue, whose worker is a process of its own; their events are
read from the runs' folders, so that a page that comes later, or another server, sees the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, StreamingResponse

from lorasmith.errors import UsageError
from lorasmith.face.runs import KnownRun, find_run, list_runs, queue_run, resume_run, stop_run
from lorasmith.jobs.detached import start_worker, worker_lives
from lorasmith.jobs.queue import JobQueue
from lorasmith.project import Project
from lorasmith.recipe.overrides import write_value
from lorasmith.recipe.recipe import parse_recipe, recipe_values
from lorasmith.server.errors import MissingError
from lorasmith.server.native.errors import MISSING
from lorasmith.server.road.dependencies import IsClosing, ProjectName, TheProject, TheWorkshop
from lorasmith.server.road.schemas import runs as schemas
from lorasmith.storage.places import data_folder
from lorasmith.training.runs.folder import RECIPE_FILE
from lorasmith.training.runs.history import read_events, read_history, variant_folders

router = APIRouter(prefix="/projects/{project}/runs", tags=["runs"], responses=MISSING)
RunName = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^/\\.][^/\\]*$", description="A run's folder.")]
FileName = Annotated[str, Path(max_length=200, pattern=r"^[^/\\.][^/\\]*$")]
Variant = Annotated[str, Query(max_length=200, pattern=r"^([^/\\.][^/\\]*)?$", description="Of a sweep.")]
_SSE = {"cache-control": "no-store", "x-accel-buffering": "no"}
_LOOK_SECONDS = 0.5
_IDLE_LOOKS = 20
_LOG_LINES = 40


@router.get("", response_model=schemas.RunsAnswer)
def get_runs(opened: TheProject) -> dict[str, Any]:
    """All runs of a project, waiting, under way and past."""
    queue = _queue()
    return {"runs": [run.as_json() for run in list_runs(opened, queue)], "worker": worker_lives(queue)}


@router.post("", response_model=schemas.RunHead, status_code=202)
def post_run(project: ProjectName, body: schemas.RunRequest, workshop: TheWorkshop) -> dict[str, Any]:
    """Start a run, or let one go on. It trains in a process of its own: this server may end meanwhile."""
    queue = _queue()
    with workshop.lock(project):
        opened = workshop.open(project)
        if body.resume is not None:
            _find(opened, queue, body.resume)
            job = resume_run(opened, queue, body.resume)
        else:
            settings = {key: write_value(value) for key, value in body.settings.items()}
            job = queue_run(opened, queue, settings, probe=body.probe)
    start_worker(queue)
    return _find(opened, queue, FilePath(job.run).name).as_json()


@router.post("/{run}/stop", response_model=schemas.RunHead)
def post_stop(run: RunName, opened: TheProject) -> dict[str, Any]:
    """Take a run out of the line; one under way saves its state, and can be gone on with."""
    queue = _queue()
    _find(opened, queue, run)
    stop_run(opened, queue, run)
    return _find(opened, queue, run).as_json()


@router.get("/{run}", response_model=schemas.RunAnswer)
def get_run(run: RunName, opened: TheProject) -> dict[str, Any]:
    """All that a run tells so far."""
    queue = _queue()
    known = _find(opened, queue, run)
    variants = variant_folders(known.folder)
    first = next(iter(variants.values()), known.folder)
    return {
        "head": known.as_json(),
        "recipe": _read_recipe(first),
        "plan": _read_json(first / "plan.json"),
        "variants": {name: read_history(folder / "events.jsonl").as_json() for name, folder in variants.items()},
        "log": _log(queue, known),
    }


@router.get("/{run}/samples/{file}", response_class=FileResponse)
def get_sample(run: RunName, file: FileName, opened: TheProject, variant: Variant = "") -> Response:
    """A sample picture that was drawn along the way."""
    place = opened.runs / run / variant / "samples" / file
    if not place.is_file() or place.suffix != ".png":
        raise MissingError(f'there is no sample "{file}".', where="file")
    return FileResponse(place, media_type="image/png", headers={"cache-control": "private, max-age=86400"})


@router.get(
    "/{run}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def get_events(
    run: RunName,
    opened: TheProject,
    is_closing: IsClosing,
    offset: Annotated[int, Query(ge=0, description="Where the last answer ended.")] = 0,
    variant: Variant = "",
) -> StreamingResponse:
    """The events of a run's log as they are written, from `offset` on; `state` when that changes, `end` when the run
    has ended."""
    await run_in_threadpool(_find, opened, _queue(), run)
    return StreamingResponse(
        _tail(opened, run, variant, offset, is_closing), media_type="text/event-stream", headers=_SSE
    )


async def _tail(
    project: Project, run: str, variant: str, offset: int, is_closing: Callable[[], bool]
) -> AsyncIterator[str]:
    queue, file = _queue(), project.runs / run / variant / "events.jsonl"
    state, idle = "", 0
    while not is_closing():
        now = await run_in_threadpool(_state, project, queue, run)
        events, offset = await run_in_threadpool(read_events, file, offset)
        for event in events:
            yield _event(str(event.get("event", "note")), event | {"offset": offset})
        if now != state:
            state = now
            yield _event("state", {"event": "state", "state": state})
        if not events and state not in ("waiting", "running", "stopping"):
            yield _event("end", {"event": "end", "state": state})
            return
        idle = 0 if events else idle + 1
        if idle % _IDLE_LOOKS == _IDLE_LOOKS - 1:
            yield ": idle\n\n"
        await asyncio.sleep(_LOOK_SECONDS)


def _event(name: str, document: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(document, ensure_ascii=False)}\n\n"


def _queue() -> JobQueue:
    return JobQueue(data_folder())


def _find(project: Project, queue: JobQueue, run: str) -> KnownRun:
    try:
        return find_run(project, queue, run)
    except UsageError as fault:
        raise MissingError(fault.message, where="run") from None


def _state(project: Project, queue: JobQueue, run: str) -> str:
    return _find(project, queue, run).state


def _read_recipe(folder: FilePath) -> dict[str, Any]:
    file = folder / RECIPE_FILE
    if not file.is_file():
        return {}
    return recipe_values(parse_recipe(file.read_text("utf-8"), where=str(file)))


def _read_json(file: FilePath) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _log(queue: JobQueue, run: KnownRun) -> list[str]:
    """The last words of a job that were no events."""
    if run.job is None:
        return []
    try:
        lines = queue.log_file(run.job.id).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line and not line.startswith("{")][-_LOG_LINES:]
