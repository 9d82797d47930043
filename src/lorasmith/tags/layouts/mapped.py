"""The layout with a tag_mapping.json: channels first, values in -1..1, logits; not every output has a tag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lorasmith.errors import DatasetError
from lorasmith.tags.categories import CATEGORIES
from lorasmith.tags.layouts.layout import Array, Layout, Row
from lorasmith.tags.layouts.numbers import probabilities


def read_mapping(file: Path) -> list[Row]:
    """The tags of a tag_mapping.json: ``{"0": {"tag": "1girl", "category": "General"}, ...}``, or
    ``{"idx_to_tag": {"0": "1girl"}, "tag_to_category": {"1girl": "General"}}``. Raises DatasetError."""
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
    if rows and (rows[0][0] < 0 or len({number for number, _, _ in rows}) < len(rows)):
        raise DatasetError("a tag's number is negative or stands twice.", where=file)
    return rows


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _to_input(batch: Array) -> Array:
    return np.ascontiguousarray((batch / 127.5 - 1).transpose(0, 3, 1, 2))


LAYOUT = Layout(
    name="mapped",
    models=("model_optimized.onnx", "model.onnx"),
    tags="tag_mapping.json",
    read=read_mapping,
    form="(batch, 3, height, width)",
    channels=1,
    to_input=_to_input,
    to_scores=probabilities,
    whole=False,
    gives_way_to=("selected_tags.csv",),
)
