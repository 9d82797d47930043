"""The files of a tagger: which model, which tags in which order, and how the model wants its pictures."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.errors import DatasetError
from lorasmith.tags.categories import CATEGORIES

MODEL_NAME, TAGS_NAME = "model.onnx", "selected_tags.csv"
MAPPED_MODEL_NAME, MAPPING_NAME = "model_optimized.onnx", "tag_mapping.json"
_LARGEST_LIST = 64 << 20  # bytes; the longest public list has 5 MB


@dataclass(frozen=True)
class Layout:
    """What a tagger's folder says.

    `names` and `categories` are those of the model's outputs `columns`. `mapped`: the layout with a tag_mapping.json,
    whose model wants channels first, values in -1..1, and gives logits; otherwise WD14's: channels last, 0..255,
    probabilities. Both want BGR.
    """

    model: Path
    tags: Path
    names: tuple[str, ...]
    categories: tuple[int, ...]
    columns: tuple[int, ...]
    mapped: bool


def read_layout(folder: Path) -> Layout:
    """The layout in `folder`. Raises DatasetError when a file is missing or is no tag list."""
    if not folder.is_dir():
        raise DatasetError("no such folder of a tagger.", where=folder, hint=_WHAT_IT_IS)
    if (folder / MAPPING_NAME).is_file() and not (folder / TAGS_NAME).is_file():
        tags, rows = folder / MAPPING_NAME, _read_mapping(folder / MAPPING_NAME)
        model = folder / (MAPPED_MODEL_NAME if (folder / MAPPED_MODEL_NAME).is_file() else MODEL_NAME)
        mapped = True
    else:
        tags, model, mapped = folder / TAGS_NAME, folder / MODEL_NAME, False
        rows = []
    for file in (model, tags):
        if not file.is_file():
            raise DatasetError(f"no {file.name} in this folder.", where=folder, hint=_WHAT_IT_IS)
    rows = rows or [(column, name, category) for column, (name, category) in enumerate(_read_rows(tags))]
    columns, names, categories = zip(*rows, strict=True)
    return Layout(model, tags, names, categories, columns, mapped)


_WHAT_IT_IS = f"A tagger is a folder with {MODEL_NAME} and {TAGS_NAME}, or {MAPPED_MODEL_NAME} and {MAPPING_NAME}."


def _read_rows(file: Path) -> list[tuple[str, int]]:
    """(name, category) of a selected_tags.csv, in the order of the model's outputs."""
    _check_size(file)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = [(row["name"], int(row["category"])) for row in csv.DictReader(lines)]
    except (KeyError, ValueError, TypeError, csv.Error):
        raise DatasetError(
            "not a tag list.", where=file, hint="Its first line must be tag_id,name,category,count."
        ) from None
    if not rows:
        raise DatasetError("an empty tag list.", where=file)
    return rows


def _read_mapping(file: Path) -> list[tuple[int, str, int]]:
    """(output, name, category) of a tag_mapping.json: ``{"0": {"tag": "1girl", "category": "General"}, ...}``, or
    ``{"idx_to_tag": {"0": "1girl"}, "tag_to_category": {"1girl": "General"}}``."""
    _check_size(file)
    try:
        document: Any = json.loads(file.read_text("utf-8-sig"))
        if "idx_to_tag" in document:
            kinds = document["tag_to_category"]
            pairs = [(number, tag, kinds[tag]) for number, tag in document["idx_to_tag"].items()]
        else:
            pairs = [(number, entry["tag"], entry["category"]) for number, entry in document.items()]
        rows = sorted((int(number), _text(tag), CATEGORIES[_text(kind).casefold()]) for number, tag, kind in pairs)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        raise DatasetError(
            "not a tag list.",
            where=file,
            hint='It must map numbers to {"tag": NAME, "category": one of ' + f"{', '.join(CATEGORIES)}" + "}.",
        ) from None
    if not rows:
        raise DatasetError("an empty tag list.", where=file)
    if rows[0][0] < 0 or len({number for number, _, _ in rows}) < len(rows):
        raise DatasetError("a tag's number is negative or stands twice.", where=file)
    return rows


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _check_size(file: Path) -> None:
    if file.stat().st_size > _LARGEST_LIST:
        raise DatasetError(f"larger than {_LARGEST_LIST >> 20} MB, which no tag list is.", where=file)
