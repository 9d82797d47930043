"""The API that Stable Diffusion web UI clients speak, /sdapi/v1 (U5): their names, their units, their defaults.

Unknown fields are ignored, since clients differ; wrong values are answered with 422 and the field's name.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, field_validator

from lorasmith import __version__
from lorasmith.project import EMBEDDED
from lorasmith.server.bases import BaseEntry, find_base
from lorasmith.server.encoding import png_bytes
from lorasmith.server.errors import FieldError
from lorasmith.server.inputs import decode_base64, keep_image, keep_input, open_bytes
from lorasmith.server.jobs import Item, Job, JobPolicy, new_job
from lorasmith.server.metrics import resident_bytes
from lorasmith.server.native import TheClient, TheService, list_choices
from lorasmith.server.orders import FINAL, GREATEST_SEED, Hires, Order, Start, Variation
from lorasmith.server.schemas import random_seed
from lorasmith.server.service import Service

router = APIRouter(prefix="/sdapi/v1", tags=["web UI clients"])
POLICY = JobPolicy("webui", recorded=False, keeps_pictures=False, awaited=True)

LEAVING = 499
"""The status that nobody reads: the client went away."""
EMPHASES: Mapping[str, str] = {"Original": "original", "No norm": "no norm", "None": "none", "Ignore": "none"}
RESIZES: tuple[str, ...] = ("stretch", "crop", "fill", "stretch")
SAME = ("", "use same sampler", "use same scheduler", "use same checkpoint")
_SAMPLER_ALIASES: Mapping[str, str] = {"euler_a": "Euler a", "k_euler_a": "Euler a", "k_euler": "Euler", "ddim": "DDIM"}
_BEFORE_CURVE = re.compile(r"^(.*\S)\s+(Karras|Exponential|SGM Uniform)$", re.IGNORECASE)


class Options(BaseModel):
    """The options that mean something here; others are accepted and forgotten, as clients send many."""

    model_config = ConfigDict(extra="ignore")

    sd_model_checkpoint: str | None = None
    CLIP_stop_at_last_layers: int | None = Field(default=None, ge=1, le=12)
    emphasis: str | None = None

    @field_validator("emphasis")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in EMPHASES:
            raise ValueError(f"one of {', '.join(EMPHASES)}")
        return value


class Drawing(BaseModel):
    """What both kinds of requests share. Of the defaults some are not ours but that API's."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    prompt: str = ""
    negative_prompt: str = ""
    styles: list[str] = Field(default_factory=list)
    seed: int = Field(default=-1, ge=-1, le=GREATEST_SEED)
    subseed: int = Field(default=-1, ge=-1, le=GREATEST_SEED)
    subseed_strength: float = Field(default=0.0, ge=0, le=1)
    batch_size: int = Field(default=1, ge=1, le=1000)
    n_iter: int = Field(default=1, ge=1, le=1000)
    steps: int = Field(default=50, ge=1, le=1000)
    cfg_scale: float = Field(default=7.0, ge=0, le=100)
    width: int = Field(default=512, ge=64, le=16384)
    height: int = Field(default=512, ge=64, le=16384)
    tiling: bool = False
    eta: float | None = None
    sampler_name: str | None = None
    sampler_index: str | None = None
    scheduler: str | None = None
    override_settings: Options = Options()
    override_settings_restore_afterwards: bool = True
    script_name: str | None = None
    script_args: list[Any] = Field(default_factory=list)
    alwayson_scripts: dict[str, Any] = Field(default_factory=dict)
    send_images: bool = True
    save_images: bool = False

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_default(cls, value: Any, info: Any) -> Any:
        """Many clients write null for what they do not set."""
        if value is None and info.field_name in cls.model_fields:
            return cls.model_fields[info.field_name].get_default(call_default_factory=True)
        return value


class Txt2Img(Drawing):
    """A picture from a prompt, and optionally a second pass on it."""

    enable_hr: bool = False
    denoising_strength: float = Field(default=0.7, ge=0, le=1)
    hr_scale: float = Field(default=2.0, ge=1, le=4)
    hr_upscaler: str = "Latent"
    hr_second_pass_steps: int = Field(default=0, ge=0, le=1000)
    hr_resize_x: int = Field(default=0, ge=0, le=16384)
    hr_resize_y: int = Field(default=0, ge=0, le=16384)
    hr_sampler_name: str = ""
    hr_scheduler: str = ""
    hr_checkpoint_name: str = ""
    hr_prompt: str = ""
    hr_negative_prompt: str = ""


class Img2Img(Drawing):
    """A picture from a prompt and a picture."""

    init_images: list[str] = Field(default_factory=list)
    resize_mode: int = Field(default=0, ge=0, le=3)
    denoising_strength: float = Field(default=0.75, ge=0, le=1)
    mask: str | None = None
    mask_blur: int = Field(default=4, ge=0, le=64)
    inpainting_mask_invert: int = Field(default=0, ge=0, le=1)
    include_init_images: bool = False


class OneImage(BaseModel):
    """A picture as base64."""

    image: str = ""


@router.post("/txt2img")
async def txt2img(body: Txt2Img, request: Request, service: TheService, client: TheClient) -> dict[str, Any]:
    """Draw. The answer comes when all pictures are there; a client that goes away cancels them."""
    orders = await run_in_threadpool(_orders, service, body, None)
    return await _draw(body, orders, request, service, client)


@router.post("/img2img")
async def img2img(body: Img2Img, request: Request, service: TheService, client: TheClient) -> dict[str, Any]:
    """Draw from pictures."""
    if not body.init_images:
        raise HTTPException(404, "Init image not found")
    orders = await run_in_threadpool(_orders, service, body, body)
    return await _draw(body, orders, request, service, client)


def _orders(service: Service, body: Txt2Img | Img2Img, source: Img2Img | None) -> list[Order]:
    """One order a picture. Raises FieldError, HTTPException, PromptError, RefusedError."""
    count = body.batch_size * body.n_iter
    service.admission.check_count(count, "batch_size")
    if body.script_name:
        raise FieldError(f"script '{body.script_name}' not found.", where="script_name")
    for name in body.alwayson_scripts:
        raise FieldError(f"always on script {name} not found.", where="alwayson_scripts")
    base, clip_skip, emphasis = _settings(service, body)
    sampler, schedule = find_sampler(body.sampler_name or body.sampler_index or "Euler", body.scheduler)
    seed = random_seed() if body.seed < 0 else body.seed
    subseed = random_seed() if body.subseed < 0 else body.subseed
    varied = body.subseed_strength > 0
    starts = [] if source is None else _starts(service, source)
    orders = [
        Order(
            prompt=body.prompt,
            negative=body.negative_prompt,
            seed=(seed + (0 if varied else index)) % (GREATEST_SEED + 1),
            steps=body.steps,
            cfg=body.cfg_scale,
            sampler=sampler,
            schedule=schedule,
            width=body.width // 8 * 8,
            height=body.height // 8 * 8,
            clip_skip=clip_skip,
            emphasis=emphasis,
            tiling=body.tiling,
            eta=_eta(sampler, body.eta),
            variation=Variation(seed=(subseed + index) % (GREATEST_SEED + 1), strength=body.subseed_strength)
            if varied
            else None,
            hires=_hires(body) if isinstance(body, Txt2Img) and body.enable_hr else None,
            start=starts[index % len(starts)] if starts else None,
            base=base.name,
        )
        for index in range(count)
    ]
    service.admission.check_order(orders[0])
    return orders


def _settings(service: Service, body: Drawing) -> tuple[BaseEntry, int, str]:
    """(base, clip skip, emphasis): the options, and over them those of this request."""
    own = body.override_settings
    if not body.override_settings_restore_afterwards:
        set_options(service, own)
    wanted = own.sd_model_checkpoint
    base = service.default_base() if not wanted else find_base(service.bases, wanted, "sd_model_checkpoint")
    clip_skip = own.CLIP_stop_at_last_layers or int(service.options.get("CLIP_stop_at_last_layers", 1))
    emphasis = own.emphasis or str(service.options.get("emphasis", "Original"))
    return base, clip_skip, EMPHASES[emphasis]


def find_sampler(name: str, scheduler: str | None) -> tuple[str, str]:
    """(sampler, schedule) of what clients write, which may name both at once ("DPM++ 2M Karras").

    Raises HTTPException 404 for an unknown sampler, as that API does, and FieldError for an unknown schedule.
    """
    choices = list_choices()
    samplers = {each.lower(): each for each in choices["samplers"]}
    schedules = {_plain(each): each for each in choices["schedules"]}
    wanted = _SAMPLER_ALIASES.get(name.strip().lower(), name.strip()).lower()
    schedule = schedules.get(_plain(scheduler or "automatic"))
    if schedule is None:
        raise FieldError(
            f'"{scheduler}": unknown schedule.', where="scheduler", hint=f"There are: {', '.join(schedules.values())}."
        )
    if wanted in samplers:
        return samplers[wanted], schedule
    both = _BEFORE_CURVE.match(name.strip())
    if both is not None and both[1].lower() in samplers and _plain(both[2]) in schedules:
        return samplers[both[1].lower()], schedule if schedule != "Automatic" else schedules[_plain(both[2])]
    raise HTTPException(404, "Sampler not found")


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", " ")


def _eta(sampler: str, eta: float | None) -> float | None:
    """What clients send along with every sampler (1.0) matters to those that draw noise, and to DDIM, as there."""
    if eta is None:
        return None
    if not 0 <= eta <= 1:
        raise FieldError(f"eta = {eta:g} is not between 0 and 1.", where="eta")
    from lorasmith.diffusion.samplers import SAMPLERS

    own = SAMPLERS[sampler].eta
    return eta if eta != own and (own or sampler == "DDIM") else None


def _hires(body: Txt2Img) -> Hires:
    for name in ("hr_sampler_name", "hr_scheduler", "hr_checkpoint_name"):
        value = str(getattr(body, name))
        if value.lower() not in SAME:
            raise FieldError(f'"{value}": the second pass draws with the sampler and base of the first.', where=name)
    upscaler = "Lanczos" if body.hr_upscaler == "None" else body.hr_upscaler
    known = {each.lower(): each for each in list_choices()["upscalers"]}
    if upscaler.lower() not in known:
        raise FieldError(
            f'"{upscaler}": unknown upscaler.', where="hr_upscaler", hint=f"There are: {', '.join(known.values())}."
        )
    return Hires(
        scale=body.hr_scale,
        width=_whole_side(body.hr_resize_x, "hr_resize_x"),
        height=_whole_side(body.hr_resize_y, "hr_resize_y"),
        steps=body.hr_second_pass_steps,
        denoising=body.denoising_strength,
        upscaler=known[upscaler.lower()],
        prompt=body.hr_prompt,
        negative=body.hr_negative_prompt,
    )


def _whole_side(value: int, where: str) -> int | None:
    if not value:
        return None
    if value < 64:
        raise FieldError(f"{value} is less than 64.", where=where)
    return value // 8 * 8


def _starts(service: Service, body: Img2Img) -> list[Start]:
    pixels = service.limits.pixels
    if len(body.init_images) > service.limits.pictures:
        raise FieldError(f"{len(body.init_images)} pictures.", where="init_images")
    mask = None
    if body.mask:
        from PIL import ImageFilter, ImageOps

        grey = open_bytes(decode_base64(body.mask, "mask"), "mask", pixels).convert("L")
        grey = ImageOps.invert(grey) if body.inpainting_mask_invert else grey
        mask = keep_image(service.store, grey.filter(ImageFilter.GaussianBlur(body.mask_blur)))
    images = [keep_input(service.store, text, "init_images", pixels) for text in body.init_images]
    resize: Any = RESIZES[body.resize_mode]
    return [Start(image=image, mask=mask, strength=body.denoising_strength, resize=resize) for image in images]


async def _draw(
    body: Txt2Img | Img2Img, orders: Sequence[Order], request: Request, service: Service, client: str
) -> dict[str, Any]:
    job = new_job(client, replace(POLICY, keeps_pictures=body.save_images), orders)
    reader = service.board.listen(job)
    service.board.add(job)
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
    return await run_in_threadpool(_answer, body, job, service)


async def _gone(request: Request) -> None:
    """Return when the client went away."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _spell(error: Mapping[str, Any]) -> str:
    where = f"{error['where']}: " if error.get("where") else ""
    return f"{where}{error['message']}{' ' + error['hint'] if error.get('hint') else ''}"


def _answer(body: Txt2Img | Img2Img, job: Job, service: Service) -> dict[str, Any]:
    shown = [item for item in job.items if item.result is not None or item.preview is not None]
    images = [base64.b64encode(_png(item)).decode("ascii") for item in shown] if body.send_images else []
    parameters = body.model_dump(mode="json")
    parameters["override_settings"] = body.override_settings.model_dump(exclude_none=True)
    if isinstance(body, Img2Img) and not body.include_init_images:
        parameters["init_images"] = parameters["mask"] = None
    return {
        "images": images,
        "parameters": parameters,
        "info": json.dumps(_info(body, job, service), ensure_ascii=False),
    }


def _png(item: Item) -> bytes:
    if item.result is not None and item.result.png is not None:
        return item.result.png
    assert item.preview is not None
    return png_bytes(item.preview)


def _info(body: Txt2Img | Img2Img, job: Job, service: Service) -> dict[str, Any]:
    """What that API tells of the pictures, by its own names."""
    orders = [item.order for item in job.items]
    first = orders[0]
    shown = [item.result for item in job.items if item.result is not None]
    subseeds = [order.variation.seed if order.variation else order.seed for order in orders]
    drawn = shown[0].document.get("request", {}) if shown else {}
    return {
        "prompt": first.prompt,
        "all_prompts": [order.prompt for order in orders],
        "negative_prompt": first.negative,
        "all_negative_prompts": [order.negative for order in orders],
        "seed": first.seed,
        "all_seeds": [order.seed for order in orders],
        "subseed": subseeds[0],
        "all_subseeds": subseeds,
        "subseed_strength": body.subseed_strength,
        "seed_resize_from_w": 0,
        "seed_resize_from_h": 0,
        "width": drawn.get("width", first.width),
        "height": drawn.get("height", first.height),
        "sampler_name": first.sampler,
        "cfg_scale": first.cfg,
        "steps": first.steps,
        "batch_size": body.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": first.base,
        "sd_model_hash": service.worker.hashes.get(first.base, "")[:10],
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "denoising_strength": body.denoising_strength if first.start or first.hires else None,
        "extra_generation_params": {"Schedule type": first.schedule},
        "index_of_first_image": 0,
        "infotexts": [result.infotext for result in shown],
        "styles": body.styles,
        "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(job.created)),
        "clip_skip": first.clip_skip,
        "is_using_inpainting_conditioning": False,
        "version": f"lorasmith {__version__}",
    }


# While it draws


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
        "current_image": None if preview is None else await run_in_threadpool(_png_base64, preview),
        "textinfo": None,
    }


def _png_base64(image: Any) -> str:
    return base64.b64encode(png_bytes(image)).decode("ascii")


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


# Options and lists


@router.get("/options")
def get_options(service: TheService) -> dict[str, Any]:
    """The options that mean something here."""
    base = service.default_base()
    return {
        "sd_model_checkpoint": base.name,
        "sd_checkpoint_hash": service.worker.hashes.get(base.name, ""),
        "CLIP_stop_at_last_layers": service.options.get("CLIP_stop_at_last_layers", 1),
        "emphasis": service.options.get("emphasis", "Original"),
        "samples_format": "png",
        "sd_vae": "Automatic",
        "enable_pnginfo": True,
    }


@router.post("/options")
def post_options(body: Options, service: TheService) -> None:
    """Set options; they outlive the server."""
    set_options(service, body)


def set_options(service: Service, options: Options) -> None:
    """Keep the options that are given. Raises FieldError for an unknown base."""
    given = options.model_dump(exclude_none=True)
    if "sd_model_checkpoint" in given:
        given["sd_model_checkpoint"] = find_base(
            service.bases, given["sd_model_checkpoint"], "sd_model_checkpoint"
        ).name
    for name, value in given.items():
        service.set_option(name, value)


@router.get("/sd-models")
def get_models(service: TheService) -> list[dict[str, Any]]:
    """The bases. Hashes are known once a base was loaded."""
    return [
        {
            "title": entry.name,
            "model_name": entry.name,
            "hash": service.worker.hashes.get(entry.name, "")[:10] or None,
            "sha256": service.worker.hashes.get(entry.name),
            "filename": entry.name,
            "config": None,
        }
        for entry in service.bases
    ]


@router.get("/loras")
def get_loras(service: TheService) -> list[dict[str, Any]]:
    """The adapters. Paths are below the server's own folders."""
    return [
        {"name": entry.name, "alias": entry.alias, "path": entry.file, "metadata": dict(entry.metadata)}
        for entry in service.catalogue.entries()
        if entry.problem is None
    ]


@router.post("/refresh-loras")
def refresh_loras(service: TheService) -> None:
    """Look at the folders; they are looked at whenever it matters anyway."""
    service.catalogue.entries()


@router.get("/samplers")
def get_samplers() -> list[dict[str, Any]]:
    """The samplers by their names in that API."""
    aliases: dict[str, list[str]] = {}
    for alias, name in _SAMPLER_ALIASES.items():
        aliases.setdefault(name, []).append(alias)
    return [{"name": name, "aliases": aliases.get(name, []), "options": {}} for name in list_choices()["samplers"]]


@router.get("/schedulers")
def get_schedulers() -> list[dict[str, Any]]:
    """How noise levels may fall."""
    return [
        {
            "name": name.lower().replace(" ", "_"),
            "label": name,
            "aliases": None,
            "default_rho": -1,
            "need_inner_model": False,
        }
        for name in list_choices()["schedules"]
    ]


PIXEL_UPSCALERS = ("None", "Lanczos", "Nearest")


@router.get("/upscalers")
def get_upscalers() -> list[dict[str, Any]]:
    """The upscalers of pixels."""
    return [
        {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4}
        for name in PIXEL_UPSCALERS
    ]


@router.get("/latent-upscale-modes")
def get_latent_upscale_modes() -> list[dict[str, str]]:
    """The upscalers of latents, for the second pass."""
    return [{"name": name} for name in list_choices()["upscalers"] if name.startswith("Latent")]


@router.get("/scripts")
def get_scripts() -> dict[str, list[str]]:
    """No scripts."""
    return {"txt2img": [], "img2img": []}


@router.get("/embeddings")
def get_embeddings() -> dict[str, dict[str, Any]]:
    """No textual inversions."""
    return {"loaded": {}, "skipped": {}}


@router.get("/cmd-flags")
def get_flags(service: TheService) -> dict[str, Any]:
    """How the server was started, as far as that is the client's business."""
    return {"api": True, "api_auth": service.settings.token is not None, "nowebui": False, "listen": False}


@router.get("/memory")
def get_memory() -> dict[str, Any]:
    """Memory in bytes."""
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    used = resident_bytes()
    return {"ram": {"free": total - used, "used": used, "total": total}, "cuda": {"error": "not told"}}


def _empty() -> list[dict[str, Any]]:
    """There are none."""
    return []


for _name in (
    *("sd-vae", "prompt-styles", "hypernetworks", "face-restorers", "realesrgan-models", "script-info", "sd-modules"),
    *("artists", "artist-categories"),
):
    router.add_api_route(
        f"/{_name}", _empty, methods=["GET"], name=f"list_{_name}", response_model=list[dict[str, Any]]
    )


@router.post("/refresh-checkpoints")
def refresh_checkpoints() -> None:
    """The bases are those that the server was started with."""


@router.post("/refresh-vae")
def refresh_vae() -> None:
    """Bases bring their own."""


# Pictures that clients send


@router.post("/png-info")
def png_info(body: OneImage, service: TheService) -> dict[str, Any]:
    """What a picture file says of itself: its text, all its entries, the text as parameters."""
    if not body.image.strip():
        return {"info": "", "items": {}, "parameters": {}}
    data = decode_base64(body.image, "image")
    open_bytes(data, "image", service.limits.pixels)
    from lorasmith.generation.infotext import split_infotext
    from lorasmith.generation.pictures import DOCUMENT_KEY, INFOTEXT_KEY, read_picture

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        found = read_picture(path)
    text = found.infotext or ""
    items: dict[str, Any] = {INFOTEXT_KEY: text} if text else {}
    if found.document is not None:
        items[DOCUMENT_KEY] = json.dumps(found.document, ensure_ascii=False)
    prompt, negative, fields = split_infotext(text)
    parameters = {"Prompt": prompt, "Negative prompt": negative, **fields} if text else {}
    return {"info": text, "items": items, "parameters": parameters}


class Extras(BaseModel):
    """A picture to enlarge. `resize_mode` 0 goes by `upscaling_resize`, 1 by width and height."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    resize_mode: int = Field(default=0, ge=0, le=1)
    upscaling_resize: float = Field(default=2.0, gt=0, le=8)
    upscaling_resize_w: int = Field(default=512, ge=1, le=16384)
    upscaling_resize_h: int = Field(default=512, ge=1, le=16384)
    upscaling_crop: bool = True
    upscaler_1: str = "None"


class ExtrasOne(Extras):
    """One picture."""

    image: str = ""


class NamedImage(BaseModel):
    """A picture with its name."""

    data: str
    name: str = ""


class ExtrasMany(Extras):
    """Many pictures."""

    imageList: list[NamedImage] = Field(default_factory=list, max_length=64)  # noqa: N815  # that API's name


@router.post("/extra-single-image")
def extra_single_image(body: ExtrasOne, service: TheService) -> dict[str, Any]:
    """Enlarge one picture."""
    return {"html_info": "", "image": _enlarge(body, body.image, "image", service.limits.pixels)}


@router.post("/extra-batch-images")
def extra_batch_images(body: ExtrasMany, service: TheService) -> dict[str, Any]:
    """Enlarge many."""
    pixels = service.limits.pixels
    return {"html_info": "", "images": [_enlarge(body, each.data, "imageList", pixels) for each in body.imageList]}


def _enlarge(body: Extras, text: str, where: str, most_pixels: int) -> str:
    from PIL import Image, ImageOps

    filters = {"None": None, "Lanczos": Image.Resampling.LANCZOS, "Nearest": Image.Resampling.NEAREST}
    if body.upscaler_1 not in filters:
        raise FieldError(
            f'"{body.upscaler_1}": unknown upscaler.', where="upscaler_1", hint=f"There are: {', '.join(filters)}."
        )
    image = open_bytes(decode_base64(text, where), where, most_pixels)
    way = filters[body.upscaler_1]
    size = (
        (body.upscaling_resize_w, body.upscaling_resize_h)
        if body.resize_mode
        else (max(1, int(image.width * body.upscaling_resize)), max(1, int(image.height * body.upscaling_resize)))
    )
    if size[0] * size[1] > most_pixels:
        raise FieldError(f"{size[0]}x{size[1]}, the most are {most_pixels} pixels.", where="upscaling_resize")
    if way is not None:
        crops = body.resize_mode == 1 and body.upscaling_crop
        image = ImageOps.fit(image, size, way) if crops else image.resize(size, way)
    return _png_base64(image)


class Interrogation(OneImage):
    """A picture to describe."""

    model: str = "clip"


LIKELY = 0.35
TAGGER_NAMES = ("clip", "deepdanbooru", "deepbooru", "doodle")


@router.post("/interrogate")
def interrogate(body: Interrogation, service: TheService) -> dict[str, str]:
    """The tags of a picture by the embedded tagger, whichever model the client asks for."""
    if body.model not in TAGGER_NAMES:
        raise HTTPException(404, "Model not found")
    if not body.image:
        raise HTTPException(404, "Image not found")
    image = open_bytes(decode_base64(body.image, "image"), "image", service.limits.pixels)
    tagger = _open_tagger()
    scores = tagger.scores([image])[0]
    likely = sorted(((score, name) for score, name in zip(scores.tolist(), tagger.names, strict=True)), reverse=True)
    return {"caption": ", ".join(name for score, name in likely if score >= LIKELY)}


@cache
def _open_tagger() -> Any:
    from lorasmith.tags.tagger import open_tagger

    return open_tagger(EMBEDDED)
