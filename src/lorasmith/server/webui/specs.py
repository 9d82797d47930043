"""From that API's bodies to pictures' specs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import HTTPException

from lorasmith.diffusion.samplers import SAMPLERS
from lorasmith.diffusion.sigmas import SCHEDULE_NAMES
from lorasmith.generation.defaults import random_seed
from lorasmith.generation.spec import GREATEST_SEED, LEAST_SIDE, UPSCALERS, Hires, PictureSpec, StoredInit, Variation
from lorasmith.server.bases import BaseEntry, find_base
from lorasmith.server.errors import FieldError
from lorasmith.server.input_files import RequestInputs
from lorasmith.server.inputs import decode_base64, keep_image, keep_input, open_bytes
from lorasmith.server.service import Service
from lorasmith.server.webui.bodies import Drawing, Img2Img, Options, Txt2Img
from lorasmith.server.webui.fields import DRAWING, EMPHASES, IMG2IMG, OPTIONS, RESIZES, TXT2IMG, their_name

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
        raise FieldError(f"always on script {name} not found.", where="alwayson_scripts")
    base, clip_skip, emphasis = _settings(service, body)
    sampler, schedule = find_sampler(body.sampler_name or body.sampler_index, body.scheduler)
    seed = random_seed() if body.seed < 0 else body.seed
    subseed = random_seed() if body.subseed < 0 else body.subseed
    varied = body.subseed_strength > 0
    unnamed = _start_of(body) if isinstance(body, Img2Img) else None
    hires = _hires(body) if isinstance(body, Txt2Img) and body.enable_hr else None
    specs = [
        PictureSpec(
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
    own = SAMPLERS[sampler].eta
    return eta if eta != own and (own or sampler == "DDIM") else None


def _hires(body: Txt2Img) -> Hires:
    for name in ("hr_sampler_name", "hr_scheduler", "hr_checkpoint_name"):
        value = str(getattr(body, name))
        if value.lower() not in SAME:
            raise FieldError(f'"{value}": the second pass draws with the sampler and base of the first.', where=name)
    upscaler = "Lanczos" if body.hr_upscaler == "None" else body.hr_upscaler
    known = {each.lower(): each for each in UPSCALERS}
    if upscaler.lower() not in known:
        raise FieldError(
            f'"{upscaler}": unknown upscaler.', where="hr_upscaler", hint=f"There are: {', '.join(known.values())}."
        )
    return Hires(
        scale=body.hr_scale,
        width=_whole_side(body.hr_resize_x, "hr_resize_x"),
        height=_whole_side(body.hr_resize_y, "hr_resize_y"),
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
    pixels = service.limits.pixels
    service.admission.check_count(len(body.init_images), "init_images")
    mask = None
    if body.mask:
        from PIL import ImageFilter, ImageOps

        grey = open_bytes(decode_base64(body.mask, "mask"), "mask", pixels).convert("L")
        grey = ImageOps.invert(grey) if body.inpainting_mask_invert else grey
        mask = keep_image(inputs, grey.filter(ImageFilter.GaussianBlur(body.mask_blur)))
    images = [keep_input(inputs, text, "init_images", pixels) for text in body.init_images]
    return [replace(unnamed, image=image, mask=mask) for image in images]
