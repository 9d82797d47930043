"""Jobs by our API: pictures, batches, grids, and their events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from lorasmith.server.board import last_event
from lorasmith.server.dependencies import TheClient, TheInputs, TheService
from lorasmith.server.job_json import row_json
from lorasmith.server.jobs import Job, JobPolicy, new_job
from lorasmith.server.keeper import GRID
from lorasmith.server.native import schemas
from lorasmith.server.native.errors import BUSY, MISSING
from lorasmith.server.native.grids import GridPlan, plan_grid
from lorasmith.server.native.specs import checked_specs, merge_requests
from lorasmith.server.readers import Reader
from lorasmith.server.service import Service
from lorasmith.server.states import State

router = APIRouter()
POLICY = JobPolicy("native", recorded=True, keeps_pictures=True)
MOST_JOBS = 500
JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="A job's id.")]
_SSE = {"cache-control": "no-store", "x-accel-buffering": "no"}


@router.post(
    "/jobs", response_model=schemas.JobAnswer, status_code=202, responses=BUSY, tags=["jobs"], summary="Draw pictures"
)
async def post_job(
    body: schemas.JobRequest, service: TheService, client: TheClient, inputs: TheInputs, response: Response
) -> dict[str, Any]:
    """Draw one picture, or `count` of them with seeds that count on. The answer comes at once; follow the job by its
    events, or ask for it again."""
    specs = await run_in_threadpool(checked_specs, service, inputs, [body], body.count)
    return await submit(service, new_job(client, _policy(body.attached), specs), response)


@router.post(
    "/batches",
    response_model=schemas.JobAnswer,
    status_code=202,
    responses=BUSY,
    tags=["jobs"],
    summary="Draw many different pictures",
)
async def post_batch(
    body: schemas.BatchRequest, service: TheService, client: TheClient, inputs: TheInputs, response: Response
) -> dict[str, Any]:
    """Draw many pictures, each with its own prompt, seed and adapters. They are drawn together wherever base, size,
    steps and sampler agree; adapters may differ."""
    merged = [merge_requests(body.shared, each) for each in body.pictures]
    specs = await run_in_threadpool(checked_specs, service, inputs, merged)
    return await submit(service, new_job(client, _policy(body.attached), specs, "batch"), response)


@router.post(
    "/grids", response_model=schemas.JobAnswer, status_code=202, responses=BUSY, tags=["jobs"], summary="Draw a grid"
)
async def post_grid(
    body: schemas.GridRequest, service: TheService, client: TheClient, inputs: TheInputs, response: Response
) -> dict[str, Any]:
    """Draw a grid: equal cells once, all of them together. The job's detail says what stands where (`places`: a
    picture's number, or why there is none) and, at the end, the `sheets`, which are pictures, too."""

    def plan() -> GridPlan:
        (spec,) = checked_specs(service, inputs, [body])
        return plan_grid(service, spec, body.x, body.y, body.z, body.adapter, body.control)

    planned = await run_in_threadpool(plan)
    return await submit(service, new_job(client, POLICY, planned.specs, GRID, planned.detail), response)


@router.get("/jobs", response_model=schemas.JobsAnswer, tags=["jobs"])
def get_jobs(
    service: TheService,
    state: State | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_JOBS)] = 50,
    before: Annotated[float | None, Query(ge=0, allow_inf_nan=False, description="A job's `created`.")] = None,
) -> dict[str, Any]:
    """The newest jobs first."""
    jobs = [_current(service, row_json(row)) for row in service.store.jobs(state, limit, before)]
    return {"jobs": [job for job in jobs if state in (None, job["state"])]}  # some may have moved on meanwhile


def _current(service: Service, job: dict[str, Any]) -> dict[str, Any]:
    return service.job_json(job["id"]) if service.find_job(job["id"]) is not None else job


@router.get("/jobs/{job}", response_model=schemas.JobAnswer, responses=MISSING, tags=["jobs"])
def get_job(job: JobId, service: TheService) -> dict[str, Any]:
    """How a job stands."""
    return service.job_json(job)


@router.delete("/jobs/{job}", response_model=schemas.JobAnswer, responses=MISSING, tags=["jobs"])
def delete_job(job: JobId, service: TheService) -> dict[str, Any]:
    """Cancel what is not finished of a job. Pictures that are finished stay."""
    live = service.board.find(job)
    if live is not None:
        service.board.cancel(live)
    return service.job_json(job)


@router.get(
    "/jobs/{job}/events",
    tags=["jobs"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **MISSING},
)
async def get_events(
    job: JobId,
    service: TheService,
    previews: Annotated[bool, Query(description="Send pictures in the making, too.")] = False,
) -> StreamingResponse:
    """Server-sent events of a job until it is finished: state, progress, preview, done, failed, cancelled, finished.
    The data are JSON; `image` is the picture's number in the job. A server that is being stopped says `stopping` in
    place of the end: the job goes on at its next start."""
    live = service.board.find(job)
    if live is None:
        document = await run_in_threadpool(service.job_json, job)
        last = last_event(document["state"], service.board.closing)
        return StreamingResponse(iter([_event(last)]), media_type="text/event-stream", headers=_SSE)
    reader = service.board.listen(live, previews)
    return StreamingResponse(_stream(service, live, reader), media_type="text/event-stream", headers=_SSE)


async def _stream(service: Service, job: Job, reader: Reader) -> AsyncIterator[str]:
    try:
        async for event in reader.events():
            yield ": idle\n\n" if event["event"] == "idle" else _event(event)
    finally:
        service.board.leave(job, reader)


def _event(event: dict[str, Any]) -> str:
    return f"event: {event['event']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"


def _policy(attached: bool) -> JobPolicy:
    return replace(POLICY, hangs_on_readers=attached)


async def submit(service: Service, job: Job, response: Response) -> dict[str, Any]:
    """Give a job to the board; its answer. What its prompts may not have meant stands in its detail. Raises
    BusyError."""
    advices = await run_in_threadpool(service.advise, [item.spec for item in job.items])
    if advices:
        job.detail["warnings"] = advices
    await run_in_threadpool(service.board.add, job)
    response.headers["location"] = f"/api/v1/jobs/{job.id}"
    return service.job_json(job.id)
