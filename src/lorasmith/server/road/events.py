"""What changes on disk, and how tasks stand: one stream for a page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from lorasmith.server.native.errors import MISSING
from lorasmith.server.road.dependencies import IsClosing, TheTasks, TheWorkshop
from lorasmith.server.road.schemas.tasks import TaskAnswer, TasksAnswer
from lorasmith.server.road.tasks import RoadTasks
from lorasmith.server.workshop import Workshop

router = APIRouter(tags=["studio"], responses=MISSING)
_SSE = {"cache-control": "no-store", "x-accel-buffering": "no"}
_LOOK_SECONDS = 1.0
_IDLE_LOOKS = 15


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def get_events(
    workshop: TheWorkshop, tasks: TheTasks, is_closing: IsClosing, project: Annotated[str, Query(max_length=200)] = ""
) -> StreamingResponse:
    """`projects` when projects come or go, `project` when something of `project` changed on disk, `task` when a task
    goes on; looked at once a second."""
    return StreamingResponse(_watch(workshop, tasks, project, is_closing), media_type="text/event-stream", headers=_SSE)


@router.get("/tasks", response_model=TasksAnswer)
def get_tasks(tasks: TheTasks, project: Annotated[str | None, Query(max_length=200)] = None) -> dict[str, Any]:
    """The tasks of this server, the newest first; of a project, or with "" those of none."""
    return {"tasks": [task.as_json() for task in tasks.tasks(project)]}


@router.get("/tasks/{task}", response_model=TaskAnswer)
def get_task(task: str, tasks: TheTasks) -> dict[str, Any]:
    """How a task stands."""
    return tasks.task(task).as_json()


async def _watch(
    workshop: Workshop, tasks: RoadTasks, project: str, is_closing: Callable[[], bool]
) -> AsyncIterator[str]:
    names: list[str] | None = None
    version: str | None = None
    told: dict[str, str] = {}
    idle = 0
    while not is_closing():
        quiet = True
        now = await run_in_threadpool(workshop.names)
        if now != names:
            names, quiet = now, False
            yield _event("projects", {"event": "projects", "names": names})
        if project:
            current = await run_in_threadpool(workshop.version, project)
            if current != version:
                version, quiet = current, False
                yield _event("project", {"event": "project", "project": project, "version": version})
        for task in tasks.tasks():
            document = json.dumps({"event": "task", "task": task.as_json()}, ensure_ascii=False)
            if task.project in ("", project) and told.get(task.id) != document:
                told[task.id], quiet = document, False
                yield f"event: task\ndata: {document}\n\n"
        idle = idle + 1 if quiet else 0
        if idle % _IDLE_LOOKS == _IDLE_LOOKS - 1:
            yield ": idle\n\n"
        await asyncio.sleep(_LOOK_SECONDS)


def _event(name: str, document: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(document, ensure_ascii=False)}\n\n"
