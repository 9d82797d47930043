"""The `parameters` text of the A1111 web UI: written into pictures, and read from anybody's.

prompt
Negative prompt: ...
Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: ..., ...

One table (`ENTRIES`) says both ways which entry tells which fields of a picture.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lorasmith import __version__
from lorasmith.diffusion.samplers import SAMPLERS, WEB_AUTOMATIC
from lorasmith.diffusion.sigmas import SCHEDULE_NAMES
from lorasmith.generation.checks import SettledSpec
from lorasmith.generation.entries import read_entries, unquote
from lorasmith.generation.parameters import Parameter
from lorasmith.generation.spec import PARAMETERS, Hires, PictureSpec, Variation

INFOTEXT_KEY = "parameters"
"""The name of the text in a PNG."""
HASH_DIGITS = 12
MODEL_HASH_DIGITS = 10
NEGATIVE = "Negative prompt: "
_SIZE = re.compile(r"(\d+)x(\d+)")
_QUOTED = re.compile(r'[,:\n"]|^\s|\s$')

Values = Mapping[str, str]
"""The entries of a text, by key."""


@dataclass(frozen=True)
class Entry:
    """One entry: what it says of a settled spec (None: it is left out), and what fields it gives, by dotted name.

    `read` sees all entries, since some mean nothing without others.
    """

    key: str
    write: Callable[[SettledSpec], object | None]
    read: Callable[[Values], Mapping[str, Any]] = lambda _: {}


def write_infotext(
    spec: SettledSpec,
    base_name: str,
    base_hash: str,
    adapters: Mapping[str, str],
    embeddings: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The text for one picture; `adapters` maps names to the full hashes of the adapters that really acted,
    `embeddings` those that its texts call to the hashes of their files."""
    values = {entry.key: entry.write(spec) for entry in ENTRIES}
    values |= {"Model hash": base_hash[:MODEL_HASH_DIGITS], "Model": base_name}
    for key, hashes in (("Lora hashes", adapters), ("TI hashes", embeddings)):
        if hashes:
            values[key] = ", ".join(
                f"{name.replace(':', '').replace(',', '')}: {digest[:HASH_DIGITS]}" for name, digest in hashes.items()
            )
    values["Version"] = f"lorasmith {__version__}"
    lines = [spec.prompt]
    if spec.negative:
        lines.append(NEGATIVE + spec.negative)
    lines.append(", ".join(f"{key}: {_quote(value)}" for key, value in values.items() if value is not None))
    return "\n".join(lines)


def _quote(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if _QUOTED.search(text) else text


def split_infotext(text: str) -> tuple[str, str, dict[str, str]]:
    """(prompt, negative prompt, entries) of a text by any tool; what cannot be read is left in the prompt."""
    prompt, negative, entries = cut_infotext(text)
    return prompt, negative, {key: unquote(value) for key, value in entries.items()}


def cut_infotext(text: str) -> tuple[str, str, dict[str, str]]:
    """The same with the entries' values as they are written."""
    *lines, last = text.replace("\r\n", "\n").strip().split("\n")
    entries = read_entries(last)
    if not entries:
        lines.append(last)
    prompt: list[str] = []
    negative: list[str] = []
    into = prompt
    for line in lines:
        if line.strip().startswith(NEGATIVE.strip()) and into is prompt:
            into = negative
            line = line.strip().removeprefix(NEGATIVE.strip()).lstrip()
        into.append(line)
    return "\n".join(prompt), "\n".join(negative), entries


def read_infotext(text: str) -> PictureSpec:
    """The spec that an infotext describes, as far as we can draw it; unknown samplers fall back to ours.

    A picture that it was drawn over is not in it, nor is the base: a name there is no base of this machine.
    """
    prompt, negative, values = split_infotext(text)
    found: dict[str, Any] = {}
    for entry in ENTRIES:
        found |= entry.read(values)
    variation = _part(found, "variation.")
    hires = _part(found, "hires.")
    plain = {name: value for name, value in found.items() if "." not in name}
    return PictureSpec(
        prompt=prompt,
        negative=negative,
        **plain,
        variation=Variation(**variation) if len(variation) == 2 else None,
        hires=Hires(**hires) if hires.keys() & {"scale", "width"} else None,
    )


def _part(found: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


def _entry(name: str, always: bool = False) -> Entry:
    """The entry of a field that needs no more than its parameter; left out where it says nothing new."""
    known = PARAMETERS[name]
    assert known.infotext is not None
    key = known.infotext

    def write(spec: SettledSpec) -> object | None:
        value = _get(spec, name)
        if value is None or (not always and "." not in name and value == known.default):
            return None
        return _spell(value)

    def read(values: Values) -> Mapping[str, Any]:
        value = _read_value(known, values.get(key))
        return {} if value is None else {name: value}

    return Entry(key, write, read)


def _get(spec: PictureSpec, name: str) -> Any:
    value: Any = spec
    for part in name.split("."):
        value = None if value is None else getattr(value, part)
    return value


def _spell(value: object) -> str:
    """A number with no more digits than it needs to be read as itself."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def _read_value(known: Parameter, text: str | None) -> Any:
    """What a text says of a field; None for what cannot be read."""
    if text is None:
        return None
    if known.kind == "integer":
        return int(text) if text.isascii() and text.isdigit() else None
    if known.kind == "number":
        try:
            return float(text)
        except ValueError:
            return None
    if known.kind == "boolean":
        return text == "True"
    if known.kind == "choice":
        return next((choice for choice in known.choices if choice.lower() == text.lower()), None)
    return text


def _write_schedule(spec: SettledSpec) -> str:
    """The schedule as the web UI names it: spelt out where "Automatic" would mean another one there."""
    sampler = SAMPLERS[spec.sampler]
    spelt = spec.schedule == "Automatic" and sampler.infotext in WEB_AUTOMATIC
    return sampler.curve if spelt else spec.schedule


def _read_sampler(values: Values) -> Mapping[str, Any]:
    """The sampler; the web UI before 1.9 wrote the schedule behind its name (`sd_samplers.py`,
    `get_sampler_and_scheduler`)."""
    text = values.get("Sampler", "")
    sampler = _read_value(PARAMETERS["sampler"], text)
    if sampler is not None:
        return {"sampler": sampler}
    for schedule in SCHEDULE_NAMES:
        if text.lower().endswith(f" {schedule.lower()}"):
            sampler = _read_value(PARAMETERS["sampler"], text[: -len(schedule) - 1])
            if sampler is not None:
                return {"sampler": sampler, "schedule": schedule}
    return {}


def _read_schedule(values: Values) -> Mapping[str, Any]:
    text = values.get("Schedule type")
    if text == "Automatic":
        return {"schedule": WEB_AUTOMATIC.get(values.get("Sampler", ""), text)}
    schedule = _read_value(PARAMETERS["schedule"], text)
    return {} if schedule is None else {"schedule": schedule}


def _read_size(text: str | None, prefix: str = "") -> Mapping[str, Any]:
    size = _SIZE.fullmatch(text or "")
    return {f"{prefix}width": int(size[1]), f"{prefix}height": int(size[2])} if size else {}


def _read_first_pass(values: Values) -> Mapping[str, Any]:
    """Sizes as the web UI wrote them before 1.0: the size is the second pass's, and 0x0 a first pass of about 512x512
    pixels (`infotext_utils.py`, `restore_old_hires_fix_params`; `processing.py`,
    `old_hires_fix_first_pass_dimensions`)."""
    first, size = _SIZE.fullmatch(values.get("First pass size", "")), _SIZE.fullmatch(values.get("Size", ""))
    if first is None or size is None:
        return {}
    width, height = int(first[1]), int(first[2])
    final = int(size[1]), int(size[2])
    if not (width and height) and final[0] and final[1]:
        scale = math.sqrt(512 * 512 / (final[0] * final[1]))
        width, height = (math.ceil(scale * side / 64) * 64 for side in final)
    return {"width": width, "height": height, "hires.width": final[0], "hires.height": final[1]}


def _write_denoising(spec: SettledSpec) -> str | None:
    if spec.init is not None:
        return _spell(spec.init.strength)
    return None if spec.hires is None else _spell(spec.hires.denoising)


def _write_scale(spec: SettledSpec) -> str | None:
    hires = spec.hires
    return _spell(hires.scale) if hires is not None and hires.width is None and hires.height is None else None


def _write_resize(spec: SettledSpec) -> str | None:
    if spec.hires is None or spec.hires_size is None or _write_scale(spec) is not None:
        return None
    return f"{spec.hires_size[0]}x{spec.hires_size[1]}"


def _read_upscaler(values: Values) -> Mapping[str, Any]:
    """An upscaler that is a model of its own is not ours: the plain one in its place."""
    return {"hires.upscaler": _read_value(PARAMETERS["hires.upscaler"], values.get("Hires upscaler")) or "Lanczos"}


_DENOISING, _SCALE = _entry("hires.denoising"), _entry("hires.scale")
#: In the order in which they are written. Those of the base stand where the web UI has them, filled in beside.
ENTRIES: tuple[Entry, ...] = (
    _entry("steps", always=True),
    Entry("Sampler", lambda spec: SAMPLERS[spec.sampler].infotext, _read_sampler),
    Entry("Schedule type", _write_schedule, _read_schedule),
    _entry("cfg", always=True),
    _entry("seed", always=True),
    Entry("Size", lambda spec: f"{spec.width}x{spec.height}", lambda values: _read_size(values.get("Size"))),
    Entry("Model hash", lambda _: ""),
    Entry("Model", lambda _: ""),
    _entry("variation.seed"),
    _entry("variation.strength"),
    Entry(_DENOISING.key, _write_denoising, _DENOISING.read),
    _entry("clip_skip"),
    Entry(
        "Emphasis",
        lambda spec: None if spec.emphasis == "original" else spec.emphasis.capitalize(),
        _entry("emphasis").read,
    ),
    Entry("Init image hash", lambda spec: None if spec.init is None else spec.init.image_hash[:MODEL_HASH_DIGITS]),
    _entry("eta"),
    _entry("tiling"),
    _entry("hires.prompt"),
    _entry("hires.negative"),
    Entry(_SCALE.key, _write_scale, _SCALE.read),
    Entry("Hires resize", _write_resize, lambda values: _read_size(values.get("Hires resize"), "hires.")),
    Entry("First pass size", lambda _: None, _read_first_pass),
    _entry("hires.steps"),
    Entry("Hires upscaler", _entry("hires.upscaler").write, _read_upscaler),
)
