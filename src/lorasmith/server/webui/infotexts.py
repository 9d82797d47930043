"""The A1111 text as that API reads it: into `parameters` of a picture, and into what a request leaves out.

Source: the A1111 web UI 1.10, modules/infotext_utils.py (parse_generation_parameters, restore_old_hires_fix_params) and
modules/api/api.py (apply_infotext).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lorasmith.generation.infotext import ENTRIES, split_infotext
from lorasmith.generation.parameters import plain_lines
from lorasmith.prompts.attention import parse_attention
from lorasmith.server.bases import find_base
from lorasmith.server.errors import FieldError
from lorasmith.server.service import Service
from lorasmith.server.webui.bodies import Drawing, Img2Img, Txt2Img
from lorasmith.server.webui.fields import DRAWING, IMG2IMG, TXT2IMG

_SIZE = re.compile(r"(\d+)x(\d+)")
#: What is said of a text that does not say it, in their order and of their types.
DEFAULTS: Mapping[str, Any] = {
    "Clip skip": "1",
    "Hires resize-1": 0,
    "Hires resize-2": 0,
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
    "Refiner switch by sampling steps": False,
}
#: Fields of a picture that two kinds of requests know by one entry of the text.
_DENOISING = {"hires.denoising", "init.strength"}


def read_parameters(text: str) -> dict[str, Any]:
    """The text as that API's parameters: sizes split in two, and its defaults for what is not said."""
    prompt, negative, entries = _split(text)
    found: dict[str, Any] = {"Prompt": prompt, "Negative prompt": negative}
    for key, value in entries.items():
        size = _SIZE.fullmatch(value)
        found |= {key: value} if size is None else {f"{key}-1": size[1], f"{key}-2": size[2]}
    if "Hires resize-1" in found:
        found.setdefault("Hires resize-2", 0)
    defaults = dict(DEFAULTS)
    if any(span.weight != 1 for text in (prompt, negative) for span in parse_attention(text)):
        defaults["Emphasis"] = "Original"
    found = found | {key: value for key, value in defaults.items() if key not in found}
    _restore_first_pass(found)
    return found


def _split(text: str) -> tuple[str, str, dict[str, str]]:
    """With every line stripped, as there."""
    return split_infotext("\n".join(line.strip() for line in plain_lines(text).strip().split("\n")))


def _restore_first_pass(found: dict[str, Any]) -> None:
    """Old texts name the first pass apart, and the finished size as "Size"."""
    first = [found.get(f"First pass size-{side}") for side in (1, 2)]
    if None in first or first == ["0", "0"]:
        return
    for side, value in enumerate(first, start=1):
        found[f"Hires resize-{side}"] = int(found.get(f"Size-{side}", 512))
        found[f"Size-{side}"] = int(value or 0)


def fill_in(body: Txt2Img | Img2Img, service: Service) -> Txt2Img | Img2Img:
    """The request with what its `infotext` says of the fields that it leaves out."""
    if not body.infotext:
        return body
    prompt, negative, entries = _split(body.infotext)
    said: dict[str, Any] = {"prompt": prompt, "negative": negative}
    for entry in ENTRIES:
        said |= entry.read(entries)
    given = body.model_fields_set
    if "sampler_index" in given:
        said.pop("sampler", None)
    rows = (*DRAWING, *(TXT2IMG if isinstance(body, Txt2Img) else IMG2IMG))
    changes: dict[str, Any] = {}
    for row in rows:
        names = _DENOISING if row.field in _DENOISING else {row.field}
        value = next((said[name] for name in names if name in said), None)
        if value is not None and row.name not in given and row.name not in ("sampler_index", "resize_mode"):
            changes[row.name] = value
    if isinstance(body, Txt2Img) and "enable_hr" not in given and said.keys() & {"hires.scale", "hires.width"}:
        changes["enable_hr"] = True
    changes["override_settings"] = body.override_settings.model_copy(update=_options(body, said, entries, service))
    filled: Txt2Img | Img2Img = body.model_copy(update=changes)
    return filled


def _options(body: Drawing, said: Mapping[str, Any], entries: Mapping[str, str], service: Service) -> Mapping[str, Any]:
    """Options that the text names and the request does not. A base that is not here is passed over, as there."""
    own, found = body.override_settings, {}
    if own.CLIP_stop_at_last_layers is None and "clip_skip" in said:
        found["CLIP_stop_at_last_layers"] = said["clip_skip"]
    for name in (entries.get("Model hash"), entries.get("Model")):
        if name and own.sd_model_checkpoint is None and "sd_model_checkpoint" not in found:
            try:
                found["sd_model_checkpoint"] = find_base(service.bases, name).name
            except FieldError:
                continue
    return found
