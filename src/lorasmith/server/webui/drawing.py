"""Drawing by that API, and what goes on meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool

from lorasmith.generation.spec import PictureSpec
from lorasmith.server.dependencies import TheClient, TheInputs, TheService
from lorasmith.server.jobs import JobPolicy, new_job
from lorasmith.server.service import Service
from lorasmith.server.states import FINAL
from lorasmith.server.webui.answers import answer, png_base64
from lorasmith.server.webui.bodies import Img2Img, Txt2Img
from lorasmith.server.webui.infotexts import fill_in
from lorasmith.server.webui.specs import specs_of

router = APIRouter()
POLICY = JobPolicy("webui", recorded=False, keeps_pictures=False, awaited=True)
LEAVING = 499
"""The status that nobody reads: the client went away."""


@router.post("/txt2img")
async def txt2img(
    body: Txt2Img, request: Request, service: TheService, client: TheClient, inputs: TheInputs
) -> dict[str, Any]:
    """Draw. The answer comes when all pictures are there; a client that goes away cancels them."""
    body = await run_in_threadpool(fill_in, body, service)
    specs = await run_in_threadpool(specs_of, service, inputs, body)
    return await _draw(body, specs, request, service, client)


@router.post("/img2img")
async def img2img(
    body: Img2Img, request: Request, service: TheService, client: TheClient, inputs: TheInputs
) -> dict[str, Any]:
    """Draw from pictures."""
    if not body.init_images:
        raise HTTPException(404, "Init image not found")
    body = await run_in_threadpool(fill_in, body, service)
    specs = await run_in_threadpool(specs_of, service, inputs, body)
    return await _draw(body, specs, request, service, client)


async def _draw(
    body: Txt2Img | Img2Img, specs: Sequence[PictureSpec], request: Request, service: Service, client: str
) -> dict[str, Any]:
    job = new_job(client, replace(POLICY, keeps_pictures=body.save_images), specs)
    reader = service.board.listen(job, only_last=True)
    service.board.add(job)
    if body.force_task_id:
        service.tasks.note(body.force_task_id, job)
    done = asyncio.ensure_future(reader.finished())
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({done, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise HTTPException(LEAVING, "the client went away")
    finally:
        gone.cancel()
        done.cancel()
        service.board.leave(job, reader)
        if job.state not in FINAL:
            service.board.cancel(job)
    for item in job.items:
        if item.error is not None:
            raise HTTPException(int(item.error.get("status", 500)), _spell(item.error))
    return await run_in_threadpool(answer, body, job, service)


async def _gone(request: Request) -> None:
    """Return when the client went away."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _spell(error: Mapping[str, Any]) -> str:
    where = f"{error['where']}: " if error.get("where") else ""
    return f"{where}{error['message']}{' ' + error['hint'] if error.get('hint') else ''}"


@router.get("/progress")
async def get_progress(
    service: TheService, client: TheClient, skip_current_image: Annotated[bool, Query()] = False
) -> dict[str, Any]:
    """How far the job in the making is (this client's first), with a picture of it unless that is not wanted."""
    if not skip_current_image:
        service.board.ask_for_previews()
    with service.board.lock:
        jobs = list(service.board.live.values())
        started = [job for job in jobs if any(item.state == "running" for item in job.items)] or jobs
        job = next((job for job in started if job.client == client), started[0] if started else None)
        share = 0.0 if job is None else job.progress
        item = None if job is None else next((each for each in job.items if each.state == "running"), None)
        step, steps = (0, 0) if item is None else (item.step, item.steps)
        preview = None if item is None or skip_current_image else item.preview
        number = 0 if job is None else sum(each.state in ("done", "failed") for each in job.items)
        left = 0.0 if job is None else (time.time() - job.created) * (1 - share) / share if share > 0 else 0.0
    return {
        "progress": share,
        "eta_relative": left,
        "state": {
            "skipped": False,
            "interrupted": False,
            "stopping_generation": service.board.closing,
            "job": "" if job is None else f"{number + 1} of {len(job.items)}",
            "job_count": len(jobs),
            "job_timestamp": "0" if job is None else time.strftime("%Y%m%d%H%M%S", time.localtime(job.created)),
            "job_no": number,
            "sampling_step": step,
            "sampling_steps": steps,
        },
        "current_image": None if preview is None else await run_in_threadpool(png_base64, preview),
        "textinfo": None,
    }


@router.post("/interrupt")
def interrupt(service: TheService, client: TheClient) -> dict[str, Any]:
    """Give up this client's jobs that are in the making; each answers with what it has."""
    service.board.interrupt(client)
    return {}


@router.post("/skip")
def skip(service: TheService, client: TheClient) -> dict[str, Any]:
    """Give up the pictures in the making; the rest of their jobs goes on."""
    service.board.interrupt(client, only_running=True)
    return {}
