"""Our own API, /api/v1: typed, documented, nothing unknown accepted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, StreamingResponse

from lorasmith import __version__
from lorasmith.diffusion.samplers import SAMPLERS
from lorasmith.diffusion.sigmas import SCHEDULE_NAMES
from lorasmith.generation.faces import random_seed
from lorasmith.generation.spec import GREATEST_SEED, UPSCALERS, Hires, PictureSpec, StoredInit, Variation
from lorasmith.prompts import Network, parse
from lorasmith.server import schemas
from lorasmith.server.bases import find_base
from lorasmith.server.errors import FieldError, MissingError
from lorasmith.server.grids import GridPlan, plan_grid
from lorasmith.server.input_files import RequestInputs
from lorasmith.server.inputs import keep_input
from lorasmith.server.job_json import row_json
from lorasmith.server.jobs import Job, JobPolicy, new_job
from lorasmith.server.keeper import GRID
from lorasmith.server.readers import Reader
from lorasmith.server.rows import PictureRow
from lorasmith.server.service import Service
from lorasmith.server.spec_models import spec_values
from lorasmith.server.states import State

POLICY = JobPolicy("native", recorded=True, keeps_pictures=True)
MOST_JOBS, MOST_PICTURES = 500, 500
_ERRORS: dict[int | str, dict[str, Any]] = {
    422: {"model": schemas.ErrorAnswer, "description": "A value is wrong, or the prompt is refused."},
    404: {"model": schemas.ErrorAnswer, "description": "There is no such thing."},
}
_BUSY: dict[int | str, dict[str, Any]] = {
    429: {"model": schemas.ErrorAnswer, "description": "Too many pictures of this client wait."},
    503: {"model": schemas.ErrorAnswer, "description": "The queue is full, or the server is stopping."},
}
_SSE = {"cache-control": "no-store", "x-accel-buffering": "no"}

router = APIRouter(prefix="/api/v1", responses={422: _ERRORS[422]})


def service_of(request: Request) -> Service:
    """The application's service."""
    service: Service = request.app.state.service
    return service


def client_of(request: Request) -> str:
    """Who asks, for fairness: what it calls itself in X-Client, else its address."""
    named = request.headers.get("x-client", "")[:64]
    return named or (request.client.host if request.client is not None else "")


TheService = Annotated[Service, Depends(service_of)]


def inputs_of(service: TheService) -> Iterator[RequestInputs]:
    """What the request sends; what no job has taken when it was answered is gone."""
    with service.inputs.request() as inputs:
        yield inputs


TheInputs = Annotated[RequestInputs, Depends(inputs_of)]
TheClient = Annotated[str, Depends(client_of)]
JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="A job's id.")]
PictureId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="A picture's id.")]


@router.get("/status", response_model=schemas.StatusAnswer, tags=["server"])
def get_status(service: TheService) -> dict[str, Any]:
    """The server at a glance: queue, base, limits."""
    return {"version": __version__, **service.status()}


@router.get("/adapters", response_model=schemas.AdaptersAnswer, tags=["choices"])
def get_adapters(service: TheService) -> dict[str, Any]:
    """The adapters that prompts can call. New files are seen at once."""
    return {
        "adapters": [
            {
                "name": entry.name,
                "alias": entry.alias,
                "file": entry.file,
                "bytes": entry.bytes,
                "trigger": entry.trigger,
                "rank": entry.rank,
                "base": entry.metadata.get("ss_sd_model_name", ""),
                "problem": entry.problem,
            }
            for entry in service.catalogue.entries()
        ]
    }


@router.get("/bases", response_model=schemas.BasesAnswer, tags=["choices"])
def get_bases(service: TheService) -> dict[str, Any]:
    """The bases that can be drawn with."""
    default = service.default_base().name
    return {
        "bases": [
            {
                "name": entry.name,
                "is_loaded": entry.name == service.worker.base,
                "is_default": entry.name == default,
                "hash": service.worker.hashes.get(entry.name),
            }
            for entry in service.bases
        ]
    }


def list_choices() -> dict[str, list[str]]:
    """Samplers, schedules and upscalers."""
    return {"samplers": list(SAMPLERS), "schedules": list(SCHEDULE_NAMES), "upscalers": list(UPSCALERS)}


@router.get("/choices", response_model=schemas.ChoicesAnswer, tags=["choices"])
def get_choices() -> dict[str, list[str]]:
    """The samplers, noise schedules and upscalers that requests can name."""
    return list_choices()


# Jobs


@router.post(
    "/jobs", response_model=schemas.JobAnswer, status_code=202, responses=_BUSY, tags=["jobs"], summary="Draw pictures"
)
async def post_job(
    body: schemas.JobRequest, service: TheService, client: TheClient, inputs: TheInputs, response: Response
) -> dict[str, Any]:
    """Draw one picture, or `count` of them with seeds that count on. The answer comes at once; follow the job by its
    events, or ask for it again."""
    specs = await run_in_threadpool(specs_of, service, inputs, [body], body.count)
    return await _submit(service, new_job(client, _policy(body.attached), specs), response)


@router.post(
    "/batches",
    response_model=schemas.JobAnswer,
    status_code=202,
    responses=_BUSY,
    tags=["jobs"],
    summary="Draw many different pictures",
)
async def post_batch(
    body: schemas.BatchRequest, service: TheService, client: TheClient, inputs: TheInputs, response: Response
) -> dict[str, Any]:
    """Draw many pictures, each with its own prompt, seed and adapters. They are drawn together wherever base, size,
    steps and sampler agree; adapters may differ."""
    merged = [merge_requests(body.shared, each) for each in body.pictures]
    specs = await run_in_threadpool(specs_of, service, inputs, merged)
    return await _submit(service, new_job(client, _policy(body.attached), specs, "batch"), response)


@router.post(
    "/grids", response_model=schemas.JobAnswer, status_code=202, responses=_BUSY, tags=["jobs"], summary="Draw a grid"
)
async def post_grid(
    body: schemas.GridRequest, service: TheService, client: TheClient, inputs: TheInputs, response: Response
) -> dict[str, Any]:
    """Draw a grid: equal cells once, all of them together. The job's detail says what stands where (`places`: a
    picture's number, or why there is none) and, at the end, the `sheets`, which are pictures, too."""

    def plan() -> GridPlan:
        spec = checked_spec(service, inputs, body)
        return plan_grid(service, spec, body.x, body.y, body.z, body.adapter, body.control)

    planned = await run_in_threadpool(plan)
    return await _submit(service, new_job(client, POLICY, planned.specs, GRID, planned.detail), response)


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


@router.get("/jobs/{job}", response_model=schemas.JobAnswer, responses={404: _ERRORS[404]}, tags=["jobs"])
def get_job(job: JobId, service: TheService) -> dict[str, Any]:
    """How a job stands."""
    return service.job_json(job)


@router.delete("/jobs/{job}", response_model=schemas.JobAnswer, responses={404: _ERRORS[404]}, tags=["jobs"])
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
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, 404: _ERRORS[404]},
)
async def get_events(
    job: JobId,
    service: TheService,
    previews: Annotated[bool, Query(description="Send pictures in the making, too.")] = False,
) -> StreamingResponse:
    """Server-sent events of a job until it is finished: state, progress, preview, done, failed, cancelled, finished.
    The data are JSON; `image` is the picture's number in the job."""
    live = service.board.find(job)
    if live is None:
        document = await run_in_threadpool(service.job_json, job)
        finished = {"event": "finished", "state": document["state"], "stopping": service.board.closing}
        return StreamingResponse(iter([_event(finished)]), media_type="text/event-stream", headers=_SSE)
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


async def _submit(service: Service, job: Job, response: Response) -> dict[str, Any]:
    await run_in_threadpool(service.board.add, job)
    response.headers["location"] = f"/api/v1/jobs/{job.id}"
    return service.job_json(job.id)


# Pictures


@router.get("/pictures", response_model=schemas.PicturesAnswer, tags=["pictures"])
def get_pictures(
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=MOST_PICTURES)] = 100,
    after: Annotated[str | None, Query(max_length=80, description="`next` of the answer before.")] = None,
    search: Annotated[str, Query(max_length=200, description="A part of the prompt.")] = "",
) -> dict[str, Any]:
    """The kept pictures, the newest first."""
    rows = service.store.pictures(limit, None if after is None else _read_cursor(after), search)
    last = rows[-1] if len(rows) == limit else None
    return {
        "pictures": [
            {
                "id": row.id,
                "created": row.created,
                "width": row.width,
                "height": row.height,
                "seed": row.seed,
                "prompt": row.prompt,
                "kind": row.kind,
            }
            for row in rows
        ],
        "total": service.store.count_pictures(),
        "next": None if last is None else f"{last.created!r}_{last.id}",
    }


def _read_cursor(text: str) -> tuple[float, str]:
    created, _, picture = text.partition("_")
    try:
        return float(created), picture
    except ValueError:
        raise FieldError(f'"{text}" is no place in the list.', where="after") from None


@router.get(
    "/pictures/{picture}", response_model=schemas.PictureAnswer, responses={404: _ERRORS[404]}, tags=["pictures"]
)
def get_picture(picture: PictureId, service: TheService) -> dict[str, Any]:
    """All that is known of a picture."""
    row = _find_picture(service, picture)
    return {field: getattr(row, field) for field in schemas.PictureAnswer.model_fields}


@router.get(
    "/pictures/{picture}/file",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}, 404: _ERRORS[404]},
    tags=["pictures"],
)
def get_file(picture: PictureId, service: TheService) -> FileResponse:
    """The PNG, with the A1111 text and our own recipe inside."""
    row = _find_picture(service, picture)
    path = service.store.picture_path(row.id)
    if not path.is_file():
        raise MissingError(f'the file of picture "{picture}" is gone.')
    headers = {"cache-control": "private, max-age=31536000, immutable"}
    return FileResponse(
        path, media_type="image/png", filename=f"{row.id}.png", content_disposition_type="inline", headers=headers
    )


@router.get(
    "/pictures/{picture}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 404: _ERRORS[404]},
    tags=["pictures"],
)
def get_thumbnail(picture: PictureId, service: TheService) -> Response:
    """A small JPEG."""
    data = service.store.thumbnail(picture)
    if data is None:
        raise MissingError(f'no picture "{picture}".')
    headers = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(data, media_type="image/jpeg", headers=headers)


@router.delete("/pictures/{picture}", status_code=204, responses={404: _ERRORS[404]}, tags=["pictures"])
def delete_picture(picture: PictureId, service: TheService) -> None:
    """Delete a picture and its file, for good."""
    if not service.store.remove_picture(picture):
        raise MissingError(f'no picture "{picture}".')


@router.post(
    "/pictures/{picture}/redo",
    response_model=schemas.JobAnswer,
    status_code=202,
    responses={404: _ERRORS[404], **_BUSY},
    tags=["pictures"],
)
async def redo_picture(
    picture: PictureId, service: TheService, client: TheClient, response: Response
) -> dict[str, Any]:
    """Draw a picture again, exactly as it was ordered: the same seed, prompt, adapters, base."""
    row = await run_in_threadpool(_find_picture, service, picture)
    if row.spec is None:
        raise FieldError("a grid's sheet is not drawn again; its cells can be.", where="picture")
    spec = await run_in_threadpool(service.admission.check, row.spec)
    return await _submit(service, new_job(client, POLICY, [spec], detail={"redo": picture}), response)


def _find_picture(service: Service, picture: str) -> PictureRow:
    row = service.store.picture(picture)
    if row is None:
        raise MissingError(f'no picture "{picture}".')
    return row


# Prompts


@router.post("/prompts/parse", response_model=schemas.ParseAnswer, tags=["prompts"])
def parse_prompt(body: schemas.ParseRequest) -> dict[str, Any]:
    """Take a prompt apart: adapters, parts, schedule, emphasis."""
    return parse(body.text, body.steps, body.compat, body.hires_steps).as_json()


@router.post("/prompts/expand", response_model=schemas.ExpandAnswer, tags=["prompts"])
def expand_prompt(body: schemas.ExpandRequest) -> dict[str, Any]:
    """Prompts out of a template: ``{a|b}``, ``{2$$a|b|c}``, ``${x={a|b}}`` and the like."""
    from lorasmith.prompts.dynamic import Seeds, count_prompts, expand, read_template

    template = read_template(body.template)
    seeds = Seeds(body.seed, body.prompt_seed)
    count = count_prompts(template)
    return {
        "prompts": [
            {"prompt": each.prompt, "seed": each.seed, "prompt_seed": each.prompt_seed, "turn": each.turn}
            for each in expand(template, body.n, seeds, body.mode)
        ],
        "count": count if count < 2**53 else None,
    }


# What is asked for


def merge_requests(shared: schemas.PictureRequest, own: schemas.PictureRequest) -> schemas.PictureRequest:
    """`own`, and what it leaves out from `shared`."""
    merged: schemas.PictureRequest = shared.model_copy(
        update={name: getattr(own, name) for name in own.model_fields_set}
    )
    return merged


def specs_of(
    service: Service, inputs: RequestInputs, requests: list[schemas.PictureRequest], count: int = 1
) -> list[PictureSpec]:
    """Checked specs; pictures to start from are kept. Raises FieldError, PromptError, RefusedError."""
    service.admission.check_count(len(requests) * count, "count")
    checked = [checked_spec(service, inputs, request) for request in requests]
    return [replace(spec, seed=(spec.seed + index) % (GREATEST_SEED + 1)) for spec in checked for index in range(count)]


def checked_spec(service: Service, inputs: RequestInputs, request: schemas.PictureRequest) -> PictureSpec:
    """The spec that a request means, checked before anything is kept."""
    spec, given = service.admission.check(spec_of(service, request)), request.init
    if given is None or not isinstance(spec.init, StoredInit):
        return spec
    pixels = service.limits.pixels
    image = keep_input(inputs, given.image, "init.image", pixels)
    mask = given.mask and keep_input(inputs, given.mask, "init.mask", pixels)
    return replace(spec, init=replace(spec.init, image=image, mask=mask))


def spec_of(service: Service, request: schemas.PictureRequest) -> PictureSpec:
    """The spec that a request means; the picture that it starts from has no name yet. Raises FieldError."""
    tags = [
        str(
            Network(
                call.name.strip(), call.strength if call.text_strength is None else call.text_strength, call.strength
            )
        )
        for call in request.adapters
    ]
    base = service.default_base() if request.base is None else find_base(service.bases, request.base)
    values = {
        **spec_values(request),
        "prompt": " ".join([request.prompt, *tags]).strip(),
        "seed": random_seed() if request.seed is None else request.seed,
        "base": base.name,
    }
    return PictureSpec(
        **values,
        variation=None if request.variation is None else Variation(**spec_values(request.variation, "variation")),
        hires=None if request.hires is None else Hires(**spec_values(request.hires, "hires")),
        init=None if request.init is None else StoredInit(image="", **spec_values(request.init, "init")),
    )
