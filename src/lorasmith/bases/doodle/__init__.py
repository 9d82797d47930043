"""Doodle, the embedded base: where its weights, its judge and the description of its world lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lorasmith.errors import BaseError
from lorasmith.remedies import Give, Sentence

_HERE = Path(__file__).parent


def doodle_folder() -> Path:
    """The diffusers folder of the embedded base. Raises BaseError when the installation lacks it."""
    return _present(_HERE / "weights")


def tagger_folder() -> Path:
    """The folder of the embedded tagger and judge (`model.onnx`, `selected_tags.csv`, `groups.json`)."""
    return _present(_HERE / "tagger")


def world() -> dict[str, Any]:
    """The tag space of the embedded base: groups, their tags, and where they exist."""
    loaded: dict[str, Any] = json.loads(_present(_HERE / "world.json").read_text("utf-8"))
    return loaded


def _present(path: Path) -> Path:
    if not path.exists():
        raise BaseError(
            "this part of the embedded base is missing.",
            where=path,
            remedy=Sentence("Reinstall lorasmith, or give ", Give("base"), "."),
        )
    return path
