"""From that API's bodies to pictures' specs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

from lorasmith.diffusion.limits import LEAST_SIDE
from lorasmith.diffusion.samplers import SAMPLERS
from lorasmith.diffusion.sigmas import SCHEDULE_NAMES
from lorasmith.generation.defaults import random_seed
from lorasmith.generation.spec import GREATEST_SEED, UPSCALERS, Hires, PictureSpec, StoredInit, Variation
from lorasmith.prompts.networks import split_networks
from lorasmith.server.bases import BaseEntry, find_base
from lorasmith.server.errors import FieldError
from lorasmith.server.input_files import RequestInputs
from lorasmith.server.inputs import decode_base64, keep_image, keep_input, open_bytes
from lorasmith.server.service import Service
from lorasmith.server.webui.bodies import Drawing, Img2Img, Options, Txt2Img
from lorasmith.server.webui.fields import DRAWING, EMPHASES, IMG2IMG, OPTIONS, RESIZES, TXT2IMG, their_name
from lorasmith.server.webui.ignored import SCRIPTS

if TYPE_CHECKING:
    from PIL.Image import Image

SAME = ("", "use same sampler", "use same scheduler", "use same checkpoint")
SAMPLER_ALIASES: Mapping[str, str] = {"euler_a": "Euler a", "k_euler_a": "Euler a", "k_euler": "Euler", "ddim": "DDIM"}
_BEFORE_CURVE = re.compile(r"^(.*\S)\s+(Karras|Exponential|SGM Uniform)$", re.IGNORECASE)


def specs_of(service: Service, inputs: RequestInputs, body: Txt2Img | Img2Img) -> list[PictureSpec]:
    """One checked spec a picture; pictures to start from are kept. Raises FieldError, HTTPException, PromptError,
    RefusedError."""
    count = body.batch_size * body.n_iter
    service.admission.check_count(count, "batch_size")
    if body.script_name:
        raise FieldError(f"script '{body.script_name}' not found.", where="script_name")
    for name in body.alwayson_scripts:
        if name.lower() not in SCRIPTS:
            raise FieldError(f"always on script {name} not found.", where="alwayson_scripts")
    base, clip_skip, emphasis = _settings(service, body)
    sampler, schedule = find_sampler(body.sampler_name or body.sampler_index, body.scheduler)
    seed = random_seed() if body.seed < 0 else body.seed
    subseed = random_seed() if body.subseed < 0 else body.subseed
    varied = body.subseed_strength > 0
    unnamed = _start_of(body) if isinstance(body, Img2Img) else None
    hires = _hires(body, sampler, schedule, base) if isinstance(body, Txt2Img) and body.enable_hr else None
    width, height = _first_size(body)
    prompt = split_networks(body.prompt).text if body.disable_extra_networks else body.prompt
    specs = [
        PictureSpec(
            prompt=prompt,
            negative=body.negative_prompt,
            seed=(seed + (0 if varied else index)) % (GREATEST_SEED + 1),
            steps=body.steps,
            cfg=body.cfg_scale,
            sampler=sampler,
            schedule=schedule,
            width=width // 8 * 8,
            height=height // 8 * 8,
            clip_skip=clip_skip,
            emphasis=emphasis,
            tiling=body.tiling,
            eta=_eta(sampler, body.eta),
            variation=Variation((subseed + index) % (GREATEST_SEED + 1), body.subseed_strength) if varied else None,
            hires=hires,
            init=unnamed,
            base=base.name,
        )
        for index in range(count)
    ]
    rows = (*DRAWING, *(TXT2IMG if isinstance(body, Txt2Img) else IMG2IMG), *OPTIONS)
    try:
        service.admission.check(specs[0])
    except FieldError as error:
        where = error.where and their_name(error.where, rows)
        raise FieldError(error.message, where=where, hint=error.hint) from None
    if unnamed is None or not isinstance(body, Img2Img):
        return specs
    starts = _named(service, inputs, body, unnamed)
    return [replace(spec, init=starts[index % len(starts)]) for index, spec in enumerate(specs)]


def _settings(service: Service, body: Drawing) -> tuple[BaseEntry, int, Any]:
    """(base, clip skip, emphasis): the options, and over them those of this request."""
    own = body.override_settings
    if not body.override_settings_restore_afterwards:
        set_options(service, own)
    wanted = own.sd_model_checkpoint
    base = service.default_base() if not wanted else find_base(service.bases, wanted, "sd_model_checkpoint")
    clip_skip = own.CLIP_stop_at_last_layers or int(service.options.get("CLIP_stop_at_last_layers", 1))
    emphasis = own.emphasis or str(service.options.get("emphasis", "Original"))
    return base, clip_skip, EMPHASES[emphasis]


def set_options(service: Service, options: Options) -> None:
    """Keep the options that are given. Raises FieldError for an unknown base."""
    given = options.model_dump(exclude_none=True)
    if "sd_model_checkpoint" in given:
        given["sd_model_checkpoint"] = find_base(
            service.bases, given["sd_model_checkpoint"], "sd_model_checkpoint"
        ).name
    for name, value in given.items():
        service.set_option(name, value)


def find_sampler(name: str, scheduler: str | None) -> tuple[str, str]:
    """(sampler, schedule) of what clients write, which may name both at once ("DPM++ 2M Karras").

    Raises HTTPException 404 for an unknown sampler, as that API does, and FieldError for an unknown schedule.
    """
    samplers = {each.lower(): each for each in SAMPLERS}
    schedules = {_plain(each): each for each in SCHEDULE_NAMES}
    wanted = SAMPLER_ALIASES.get(name.strip().lower(), name.strip()).lower()
    schedule = find_schedule(scheduler or "Automatic", "scheduler")
    if wanted in samplers:
        return samplers[wanted], schedule
    both = _BEFORE_CURVE.match(name.strip())
    if both is not None and both[1].lower() in samplers and _plain(both[2]) in schedules:
        return samplers[both[1].lower()], schedule if schedule != "Automatic" else schedules[_plain(both[2])]
    raise HTTPException(404, "Sampler not found")


def find_schedule(name: str, where: str) -> str:
    """The schedule of what clients write. Raises FieldError."""
    schedules = {_plain(each): each for each in SCHEDULE_NAMES}
    if _plain(name) not in schedules:
        raise FieldError(
            f'"{name}": unknown schedule.', where=where, hint=f"There are: {', '.join(schedules.values())}."
        )
    return schedules[_plain(name)]


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", " ")


def _eta(sampler: str, eta: float | None) -> float | None:
    """What clients send along with every sampler (1.0) matters to those that draw noise, and to DDIM, as there."""
    if eta is None:
        return None
    own = SAMPLERS[sampler].eta
    return eta if eta != own and (own or sampler == "DDIM") else None


def _first_size(body: Drawing) -> tuple[int, int]:
    """Of the first pass: that of old requests, where it is given (processing.py, StableDiffusionProcessingTxt2Img)."""
    if not isinstance(body, Txt2Img):
        return body.width, body.height
    return body.firstphase_width or body.width, body.firstphase_height or body.height


def _check_same(body: Txt2Img, sampler: str, schedule: str, base: BaseEntry) -> None:
    """Raise FieldError for a second pass with another sampler, schedule or base."""
    same = {"hr_sampler_name": True, "hr_scheduler": True, "hr_checkpoint_name": True}
    if body.hr_sampler_name.lower() not in SAME:
        own, curve = find_sampler(body.hr_sampler_name, None)
        same["hr_sampler_name"] = own == sampler and curve in ("Automatic", schedule)
    if body.hr_scheduler.lower() not in SAME:
        same["hr_scheduler"] = find_schedule(body.hr_scheduler, "hr_scheduler") == schedule
    if body.hr_checkpoint_name.lower() not in SAME:
        same["hr_checkpoint_name"] = find_base([base], body.hr_checkpoint_name, "hr_checkpoint_name") is base
    for name, is_same in same.items():
        if not is_same:
            value = getattr(body, name)
            raise FieldError(f'"{value}": the second pass draws with the sampler and base of the first.', where=name)


def _hires(body: Txt2Img, sampler: str, schedule: str, base: BaseEntry) -> Hires:
    _check_same(body, sampler, schedule, base)
    upscaler = "Lanczos" if body.hr_upscaler == "None" else body.hr_upscaler
    known = {each.lower(): each for each in UPSCALERS}
    if upscaler.lower() not in known:
        raise FieldError(
            f'"{upscaler}": unknown upscaler.', where="hr_upscaler", hint=f"There are: {', '.join(known.values())}."
        )
    resize = (body.hr_resize_x, body.hr_resize_y)
    if (
        (body.firstphase_width or body.firstphase_height)
        and not any(resize)
        and "hr_scale" not in body.model_fields_set
    ):
        resize = (body.width, body.height)  # old requests name the first pass's size, and mean the finished one's
    return Hires(
        scale=body.hr_scale,
        width=_whole_side(resize[0], "hr_resize_x"),
        height=_whole_side(resize[1], "hr_resize_y"),
        steps=body.hr_second_pass_steps or None,
        denoising=body.denoising_strength,
        upscaler=known[upscaler.lower()],
        prompt=body.hr_prompt or None,
        negative=body.hr_negative_prompt or None,
    )


def _whole_side(value: int, where: str) -> int | None:
    if not value:
        return None
    if value < LEAST_SIDE:
        raise FieldError(f"{value} is less than {LEAST_SIDE}.", where=where)
    return value // 8 * 8


def _start_of(body: Img2Img) -> StoredInit:
    """How a picture is drawn over another one, which has no name yet."""
    resize: Any = RESIZES[body.resize_mode]
    return StoredInit(image="", strength=body.denoising_strength, resize=resize)


def _named(service: Service, inputs: RequestInputs, body: Img2Img, unnamed: StoredInit) -> list[StoredInit]:
    """The pictures that the client sent, kept."""
    service.admission.check_count(len(body.init_images), "init_images")
    pixels = service.limits.pixels
    mask = _mask(body, pixels) if body.mask else None
    if mask is None:
        return [replace(unnamed, image=keep_input(inputs, text, "init_images", pixels)) for text in body.init_images]
    starts = []
    for text in body.init_images:
        image = open_bytes(decode_base64(text, "init_images"), "init_images", pixels)
        own = mask
        if mask.size != image.size:  # each is brought to the picture's size by itself, as there
            from lorasmith.generation.fitting import fit_image

            size = (body.width // 8 * 8, body.height // 8 * 8)
            image, own = (fit_image(each, size, unnamed.resize) for each in (image, mask))
        starts.append(replace(unnamed, image=keep_image(inputs, image), mask=keep_image(inputs, own)))
    return starts


def _mask(body: Img2Img, most_pixels: int) -> Image:
    """The mask, turned round and blurred in both directions as it is asked for; `mask_blur` goes before (processing.py,
    StableDiffusionProcessingImg2Img.mask_blur)."""
    from PIL import ImageFilter, ImageOps

    grey = open_bytes(decode_base64(body.mask or "", "mask"), "mask", most_pixels).convert("L")
    grey = ImageOps.invert(grey) if body.inpainting_mask_invert else grey
    blur = (body.mask_blur_x, body.mask_blur_y) if body.mask_blur is None else (body.mask_blur, body.mask_blur)
    # More than its sides changes nothing but the work.
    return grey.filter(ImageFilter.GaussianBlur((min(blur[0], grey.width), min(blur[1], grey.height))))
