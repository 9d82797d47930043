"""The pictures of an exam with what was judged, kept in its folder one by one, for whoever shows them to people."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.exam.report import Shown, judged_pictures
from lorasmith.storage.files import write_file

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = ("hit", "flexibility", "override", "leakage", "untriggered")
"""Kinds of questions that have pictures of their own."""
STRENGTH = "strength"
MOST = 48
"""Pictures of a kind that are kept."""
ANSWERS = "answers.json"


def write_answers(folder: Path, shown: Shown) -> None:
    """Write answers/answers.json and the pictures that it names: of each kind the first ones, with the base's beside
    them, and the strip of strengths."""
    place = folder / "answers"
    told: list[dict[str, Any]] = []
    for kind in KINDS:
        for number, pair in enumerate(judged_pictures(shown, kind, MOST)):
            files = {"picture": f"{kind}-{number:03d}.webp", "base": f"{kind}-{number:03d}-base.webp"}
            _write(place / files["picture"], pair.picture)
            if pair.base is not None:
                _write(place / files["base"], pair.base)
            told.append(
                {
                    "kind": kind,
                    "picture": files["picture"],
                    "base": None if pair.base is None else files["base"],
                    "prompt": pair.prompt,
                    "good": pair.good,
                    "said": pair.text,
                }
            )
    for number, cell in enumerate(shown.strip):
        name = f"{STRENGTH}-{number:03d}.webp"
        _write(place / name, cell.picture)
        said = f"{cell.strength:g}"
        told.append(
            {"kind": STRENGTH, "picture": name, "base": None, "prompt": cell.prompt, "good": cell.good, "said": said}
        )
    write_file(place / ANSWERS, json.dumps({"answers": told}, ensure_ascii=False, indent=1) + "\n")


def _write(file: Path, picture: Image) -> None:
    out = io.BytesIO()
    picture.convert("RGB").save(out, format="WEBP", quality=90)
    write_file(file, out.getvalue())
