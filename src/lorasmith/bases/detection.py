"""Which preset a base calls for, from configurations and headers alone: weights are not opened here."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lorasmith.container import read_container
from lorasmith.errors import BaseError
from lorasmith.project import EMBEDDED

_BY_CROSS_ATTENTION = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_TEXT_ENCODERS = (
    # Where a single-file checkpoint keeps its text encoders.
    ("conditioner.embedders.1.", "sdxl"),
    ("cond_stage_model.model.", "sd2"),
    ("cond_stage_model.transformer.", "sd1"),
)


def locate_base(base: str, root: Path) -> str:
    """The base's name, or its absolute path when `base` is a file or folder that exists beside the project file."""
    if base == EMBEDDED:
        return base
    beside = root / Path(base).expanduser()
    return str(beside.resolve()) if beside.exists() else base


def family_of(base: str) -> str:
    """ "doodle" | "sd1" | "sd2" | "sdxl". An unreadable base counts as sd1; loading it will say what is wrong."""
    if base == EMBEDDED:
        return EMBEDDED
    path = Path(base)
    if path.is_file():
        return _family_of_file(path)
    if not path.exists() and _HUB_ID.fullmatch(base):
        path = _cached(base) or path
    try:
        config = json.loads((path / "unet" / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return "sd1"
    if (path / "text_encoder_2").is_dir():
        return "sdxl"
    return _BY_CROSS_ATTENTION.get(config.get("cross_attention_dim"), "sd1")


def _family_of_file(path: Path) -> str:
    try:
        keys = read_container(path, BaseError, "a base").tensors
    except BaseError:
        return "sd1"
    return next((family for start, family in _TEXT_ENCODERS if any(key.startswith(start) for key in keys)), "sd1")


def _cached(base: str) -> Path | None:
    """The folder of a base that the hub's cache on this computer holds. Asks no network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(base, "unet/config.json")
    return Path(found).parent.parent if isinstance(found, str) else None
