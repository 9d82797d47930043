"""NovelAI's record: a JSON document under `Comment`, the prompt under `Description` too.

Its emphasis is another: ``{x}`` is x 1.05, ``[x]`` is / 1.05, ``1.2::x::`` is x 1.2, and round brackets are letters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from lorasmith.generation.foreign.reading import Items, Reader, Reading
from lorasmith.generation.foreign.values import integer, number
from lorasmith.generation.spec import PictureSpec

STEP = 1.05
SAMPLER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "k_euler": "Euler",
        "k_euler_ancestral": "Euler a",
        "k_heun": "Heun",
        "k_lms": "LMS",
        "k_dpmpp_2s_ancestral": "DPM++ 2S a",
        "k_dpmpp_2m": "DPM++ 2M",
        "k_dpmpp_sde": "DPM++ SDE",
        "k_dpmpp_2m_sde": "DPM++ 2M SDE",
        "ddim": "DDIM",
    }
)
SCHEDULE_NAMES: Mapping[str, str] = MappingProxyType(
    {"native": "Uniform", "karras": "Karras", "exponential": "Exponential", "polyexponential": "Polyexponential"}
)
#: What is read, and what changes nothing of the picture.
READ = frozenset({"prompt", "uc", "steps", "scale", "seed", "sampler", "noise_schedule", "width", "height", "strength"})
SILENT = frozenset(
    {
        "n_samples",
        "request_type",
        "signed_hash",
        "version",
        "legacy_v3_extend",
        "legacy",
        "params_version",
        "add_original_image",
        "qualityToggle",
        "ucPreset",
        "extra_noise_seed",
        "lora_unet_weights",
        "lora_clip_weights",
        "uncond_per_vibe",
        "wonky_vibe_correlation",
        "model",
        "stream",
        "prefer_brownian",
        "deliberate_euler_ancestral_bug",
    }
)
#: Values of other fields that do nothing.
NEUTRAL: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {
        "cfg_rescale": (0,),
        "uncond_scale": (0, 1),
        "controlnet_strength": (1,),
        "dynamic_thresholding_mimic_scale": (10,),
        "dynamic_thresholding_percentile": (0.999,),
        "noise": (0,),
    }
)
_NUMBERED = re.compile(r"(-?\d+(?:\.\d+)?)::(.*?)::", re.DOTALL)


def _read(items: Items) -> Reading | None:
    document = _document(items.get("Comment"))
    if document is None:
        return None
    return read_record(document, items.get("Description"), items.get("Source"))


def _document(text: str | None) -> dict[str, Any] | None:
    """A comment that is NovelAI's: it has steps and one of its other fields."""
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or "steps" not in found or found.keys().isdisjoint({"sampler", "uc", "v4_prompt"}):
        return None
    return found


def read_record(document: Mapping[str, Any], description: str | None, source: str | None) -> Reading:
    """What the record says; `source` names the model."""
    undone: list[str] = []
    values: dict[str, Any] = {}
    checks: tuple[tuple[str, str, Callable[[object], object]], ...] = (
        ("steps", "steps", integer),
        ("seed", "seed", integer),
        ("cfg", "scale", number),
        ("width", "width", integer),
        ("height", "height", integer),
    )
    for name, key, read in checks:
        value = read(document.get(key))
        if value is not None:
            values[name] = value
    for name, key, known in (("sampler", "sampler", SAMPLER_NAMES), ("schedule", "noise_schedule", SCHEDULE_NAMES)):
        said = document.get(key)
        if isinstance(said, str) and said in known:
            values[name] = known[said]
        elif said is not None:
            undone.append(f"{key}: {said} (there is none; {getattr(PictureSpec(), name)} instead)")
    prompt = _caption(document, "v4_prompt", undone) or document.get("prompt") or description or ""
    negative = _caption(document, "v4_negative_prompt", undone) or document.get("uc") or ""
    prompt, negative = str(prompt), str(negative)
    values |= {"prompt": from_emphasis(prompt, undone), "negative": from_emphasis(negative, undone)}
    for key, value in document.items():
        if key not in READ | SILENT and not _does_nothing(key, value):
            undone.append(f"{key}: {_write(value)[:80]}")
    over = document.get("request_type") in ("Img2ImgRequest", "InpaintingRequest", "NativeInfillingRequest")
    strength = number(document.get("strength")) if over else None
    entries = dict(document) if source is None else {**document, "Source": source}
    return Reading(
        tool="NovelAI's record",
        spec=PictureSpec(**values),
        entries={key: _write(value) for key, value in entries.items() if key not in ("prompt", "uc")},
        prompt=prompt,
        negative=negative,
        undone=tuple(dict.fromkeys(undone)),
        base=source,
        strength=strength,
    )


def _write(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _caption(document: Mapping[str, Any], key: str, undone: list[str]) -> str | None:
    """The base caption of a record of version 4; its characters have captions and places of their own."""
    found = document.get(key)
    caption = found.get("caption") if isinstance(found, dict) else None
    if not isinstance(caption, dict):
        return None
    if caption.get("char_captions"):
        undone.append(f"{key}: captions of single characters")
    text = caption.get("base_caption")
    return text if isinstance(text, str) else None


def _does_nothing(key: str, value: object) -> bool:
    if key in ("v4_prompt", "v4_negative_prompt"):
        return True
    return not value or value in NEUTRAL.get(key, ())


def from_emphasis(text: str, undone: list[str]) -> str:
    """A prompt of NovelAI's language in ours. What cannot be said in it stays as it is written, and is told."""
    if "|" in text:
        undone.append('prompts mixed with "|"')
    if not _is_nested(text):
        undone.append("brackets that are not closed in pairs")
        return text
    escaped = re.sub(r"[()\\]", lambda found: f"\\{found[0]}", text)
    for first, last, weight in (("{", "}", STEP), ("[", "]", 1 / STEP)):
        escaped = escaped.replace(first, "(").replace(last, f":{weight:.6g})")
    numbered = _NUMBERED.sub(lambda found: f"({found[2]}:{found[1]})", escaped)
    if "::" in numbered:
        undone.append('a weight that is not closed with "::"')
    return numbered


def _is_nested(text: str) -> bool:
    expected: list[str] = []
    for letter in text:
        if letter in "{[":
            expected.append("}" if letter == "{" else "]")
        elif letter in "}]" and (not expected or expected.pop() != letter):
            return False
    return not expected


READER = Reader("NovelAI", 2, _read)
