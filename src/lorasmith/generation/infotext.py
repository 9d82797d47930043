"""The `parameters` text of the A1111 web UI: written into pictures, and read from anybody's.

prompt
Negative prompt: ...
Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: ..., ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping

from lorasmith import __version__
from lorasmith.diffusion.samplers import SAMPLERS, WEB_AUTOMATIC
from lorasmith.diffusion.sigmas import SCHEDULE_NAMES
from lorasmith.generation.request import EMPHASES, UPSCALERS, Hires, Request, Settings, Variation

HASH_DIGITS = 12
MODEL_HASH_DIGITS = 10
NEGATIVE = "Negative prompt: "
# A last line with fewer fields than this is part of the prompt.
LEAST_FIELDS = 3
_FIELD = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"(\d+)x(\d+)")


def write_infotext(
    request: Request, settings: Settings, base_name: str, base_hash: str, adapters: Mapping[str, str]
) -> str:
    """The text for one picture; `adapters` maps names to the full hashes of the adapters that really acted."""
    sampler = SAMPLERS[settings.sampler]
    values: dict[str, object] = {
        "Steps": settings.steps,
        "Sampler": sampler.infotext,
        "Schedule type": _curve(settings),
        "CFG scale": f"{settings.cfg:g}",
        "Seed": settings.seed,
        "Size": f"{settings.width}x{settings.height}",
        "Model hash": base_hash[:MODEL_HASH_DIGITS],
        "Model": base_name,
    }
    if request.variation is not None:
        values["Variation seed"] = request.variation.seed
        values["Variation seed strength"] = f"{request.variation.strength:g}"
    denoising = request.init.strength if request.init is not None else request.hires and request.hires.denoising
    if denoising is not None:
        values["Denoising strength"] = f"{denoising:g}"
    if settings.clip_skip > 1:
        values["Clip skip"] = settings.clip_skip
    if settings.emphasis != "original":
        values["Emphasis"] = settings.emphasis.capitalize()
    if request.init is not None:
        values["Init image hash"] = request.init.image_hash[:MODEL_HASH_DIGITS]
    if settings.eta is not None:
        values["Eta"] = f"{settings.eta:g}"
    if settings.tiling:
        values["Tiling"] = True
    if request.hires is not None and settings.hires_size is not None:
        values |= _hires_fields(request.hires, settings.hires_size)
    if adapters:
        values["Lora hashes"] = ", ".join(
            f"{name.replace(':', '').replace(',', '')}: {digest[:HASH_DIGITS]}" for name, digest in adapters.items()
        )
    values["Version"] = f"lorasmith {__version__}"
    lines = [request.prompt]
    if request.negative:
        lines.append(NEGATIVE + request.negative)
    lines.append(", ".join(f"{key}: {_quote(value)}" for key, value in values.items()))
    return "\n".join(lines)


def _curve(settings: Settings) -> str:
    """The schedule as the web UI names it: spelt out where "Automatic" would mean another one there."""
    sampler = SAMPLERS[settings.sampler]
    spelt = settings.schedule == "Automatic" and sampler.infotext in WEB_AUTOMATIC
    return sampler.curve if spelt else settings.schedule


def _hires_fields(hires: Hires, size: tuple[int, int]) -> dict[str, object]:
    values: dict[str, object] = {}
    if hires.prompt is not None:
        values["Hires prompt"] = hires.prompt
    if hires.negative is not None:
        values["Hires negative prompt"] = hires.negative
    if hires.width is None and hires.height is None:
        values["Hires upscale"] = f"{hires.scale:g}"
    else:
        values["Hires resize"] = f"{size[0]}x{size[1]}"
    if hires.steps is not None:
        values["Hires steps"] = hires.steps
    values["Hires upscaler"] = hires.upscaler
    return values


def _quote(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text


def split_infotext(text: str) -> tuple[str, str, dict[str, str]]:
    """(prompt, negative prompt, fields) of a text by any tool; what cannot be read is left in the prompt."""
    *lines, last = text.strip().split("\n")
    found = _FIELD.findall(last)
    if len(found) < LEAST_FIELDS:
        lines, found = [*lines, last], []
    prompt: list[str] = []
    negative: list[str] = []
    into = prompt
    for line in lines:
        if line.strip().startswith(NEGATIVE.strip()) and into is prompt:
            into = negative
            line = line.strip().removeprefix(NEGATIVE.strip()).lstrip()
        into.append(line)
    return "\n".join(prompt), "\n".join(negative), {key: _unquote(value) for key, value in found}


def _unquote(value: str) -> str:
    if len(value) < 2 or not value.startswith('"'):
        return value.strip()
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def read_infotext(text: str) -> Request:
    """The request that an infotext describes, as far as we can draw it; unknown samplers fall back to ours.

    A picture that it was drawn over is not in it.
    """
    prompt, negative, values = split_infotext(text)
    plain = Request(prompt)
    width, height = _read_size(values.get("Size"))
    emphasis = values.get("Emphasis", "").lower()
    return Request(
        prompt=prompt,
        negative=negative,
        seed=_whole(values.get("Seed"), plain.seed),
        steps=_whole(values.get("Steps"), plain.steps),
        cfg=_number(values.get("CFG scale")),
        sampler=(sampler := _name(values.get("Sampler"), SAMPLERS, plain.sampler)),
        schedule=_read_schedule(values.get("Schedule type"), sampler),
        width=width,
        height=height,
        clip_skip=_whole(values.get("Clip skip"), plain.clip_skip),
        emphasis=next((known for known in EMPHASES if known == emphasis), plain.emphasis),
        eta=_number(values.get("Eta")),
        variation=_read_variation(values),
        hires=_read_hires(values),
        tiling=values.get("Tiling") == "True",
    )


def _read_schedule(text: str | None, sampler: str) -> str:
    if text == "Automatic":
        return WEB_AUTOMATIC.get(sampler, text)
    return _name(text, SCHEDULE_NAMES, "Automatic")


def _read_variation(values: Mapping[str, str]) -> Variation | None:
    strength = _number(values.get("Variation seed strength"))
    if strength is None or "Variation seed" not in values:
        return None
    return Variation(_whole(values["Variation seed"], 0), strength)


def _read_hires(values: Mapping[str, str]) -> Hires | None:
    if "Hires upscale" not in values and "Hires resize" not in values:
        return None
    plain = Hires()
    width, height = _read_size(values.get("Hires resize"))
    denoising, scale = _number(values.get("Denoising strength")), _number(values.get("Hires upscale"))
    return Hires(
        scale=plain.scale if scale is None else scale,
        width=width,
        height=height,
        steps=_whole(values.get("Hires steps"), 0) or None,
        denoising=plain.denoising if denoising is None else denoising,
        # An upscaler that is a model of its own is not ours: the plain one in its place.
        upscaler=_name(values.get("Hires upscaler"), UPSCALERS, "Lanczos"),
        prompt=values.get("Hires prompt"),
        negative=values.get("Hires negative prompt"),
    )


def _read_size(text: str | None) -> tuple[int | None, int | None]:
    size = _SIZE.fullmatch(text or "")
    return (int(size[1]), int(size[2])) if size else (None, None)


def _name(text: str | None, known: Collection[str], otherwise: str) -> str:
    return text if text is not None and text in known else otherwise


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else otherwise


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
