"""Which preset a base calls for, from its small config files alone: weights are not opened here."""

from __future__ import annotations

import json
from pathlib import Path

from lorasmith.project import EMBEDDED

_BY_CROSS_ATTENTION = {768: "sd1", 1024: "sd2", 2048: "sdxl"}


def locate_base(base: str, root: Path) -> str:
    """The base's name, or its absolute folder when `base` is a path that exists beside the project file."""
    if base == EMBEDDED:
        return base
    beside = root / Path(base).expanduser()
    return str(beside.resolve()) if beside.exists() else base


def family_of(base: str) -> str:
    """ "doodle" | "sd1" | "sd2" | "sdxl". An unreadable base counts as sd1; loading it will say what is wrong."""
    if base == EMBEDDED:
        return EMBEDDED
    try:
        config = json.loads((Path(base) / "unet" / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return "sd1"
    if (Path(base) / "text_encoder_2").is_dir():
        return "sdxl"
    return _BY_CROSS_ATTENTION.get(config.get("cross_attention_dim"), "sd1")
