"""The `parameters` text of the A1111 web UI: written into pictures, and read from anybody's.

prompt
Negative prompt: ...
Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: ..., ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from lorasmith import __version__
from lorasmith.diffusion.samplers import SAMPLERS
from lorasmith.generation.request import EMPHASES, Request, Settings

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
        "Schedule type": sampler.curve,
        "CFG scale": f"{settings.cfg:g}",
        "Seed": settings.seed,
        "Size": f"{settings.width}x{settings.height}",
        "Model hash": base_hash[:MODEL_HASH_DIGITS],
        "Model": base_name,
    }
    if settings.clip_skip > 1:
        values["Clip skip"] = settings.clip_skip
    if settings.emphasis != "original":
        values["Emphasis"] = settings.emphasis.capitalize()
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
    """The request that an infotext describes, as far as we can draw it; unknown samplers fall back to ours."""
    prompt, negative, values = split_infotext(text)
    plain = Request(prompt)
    size = _SIZE.fullmatch(values.get("Size", ""))
    emphasis = values.get("Emphasis", "").lower()
    return Request(
        prompt=prompt,
        negative=negative,
        seed=_whole(values.get("Seed"), plain.seed),
        steps=_whole(values.get("Steps"), plain.steps),
        cfg=_number(values.get("CFG scale")),
        sampler=_sampler(values.get("Sampler", ""), values.get("Schedule type", "")) or plain.sampler,
        width=int(size[1]) if size else None,
        height=int(size[2]) if size else None,
        clip_skip=_whole(values.get("Clip skip"), plain.clip_skip),
        emphasis=next((known for known in EMPHASES if known == emphasis), plain.emphasis),
    )


def _sampler(name: str, curve: str) -> str | None:
    if name in SAMPLERS and curve in ("", "Automatic"):
        return name
    for known, sampler in SAMPLERS.items():
        if (sampler.infotext, sampler.curve) == (name, curve):
            return known
    return name if name in SAMPLERS else None


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else otherwise


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
