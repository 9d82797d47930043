"""Camie Tagger v2's layout: channels first, red first, ImageNet's colours, two guesses; one JSON of all facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from lorasmith.errors import DatasetError
from lorasmith.tags.categories import CATEGORIES, META
from lorasmith.tags.layouts.layout import Array, Layout, Row
from lorasmith.tags.layouts.numbers import probabilities, standardised

_KINDS = {**CATEGORIES, "year": META}


def read_metadata(file: Path) -> list[Row]:
    """The tags of a camie-tagger-v2-metadata.json: dataset_info, tag_mapping, idx_to_tag and tag_to_category. A tag
    without a kind is a general one. Raises DatasetError."""
    try:
        document: Any = json.loads(file.read_text("utf-8-sig"))
        mapping = document["dataset_info"]["tag_mapping"]
        kinds = mapping["tag_to_category"]
        pairs = sorted((int(number), tag) for number, tag in mapping["idx_to_tag"].items())
        rows = [(number, tag, _KINDS[kinds.get(tag, "general").casefold()]) for number, tag in pairs]
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        hint = "Its dataset_info.tag_mapping must hold idx_to_tag and tag_to_category."
        raise DatasetError("not a tag list.", where=file, hint=hint) from None
    if any(number < 0 or not isinstance(tag, str) for number, tag, _ in rows):
        raise DatasetError("a tag's number is negative, or a tag is no text.", where=file)
    if len({number for number, _, _ in rows}) < len(rows):
        raise DatasetError("a tag's number stands twice.", where=file)
    return rows


def _to_input(batch: Array) -> Array:
    return standardised(batch, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


LAYOUT = Layout(
    name="camie",
    models=("camie-tagger-v2.onnx", "model.onnx"),
    tags="camie-tagger-v2-metadata.json",
    read=read_metadata,
    form="(batch, 3, height, width)",
    channels=1,
    to_input=_to_input,
    to_scores=probabilities,
    whole=False,
    margin="#7c7468",
    shrink=Image.Resampling.LANCZOS,
    outputs=(1,),
)
"""Camais03/camie-tagger-v2, onnx_inference.py: preprocess_image (512 pixels, filled up with 124, 116, 104) and the
second of the outputs, which is the refined one."""
