"""WD14's layout: channels last, 0..255, probabilities; the tags in a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

from lorasmith.errors import DatasetError
from lorasmith.tags.layouts.layout import Array, Layout, Row


def read_rows(file: Path) -> list[Row]:
    """The tags of a selected_tags.csv, in the order of the model's outputs. Raises DatasetError."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return [(column, row["name"], int(row["category"])) for column, row in enumerate(csv.DictReader(lines))]
    except (KeyError, ValueError, TypeError, csv.Error):
        hint = "Its first line must be tag_id,name,category,count."
        raise DatasetError("not a tag list.", where=file, hint=hint) from None


def _as_it_is(values: Array) -> Array:
    return values


LAYOUT = Layout(
    name="wd14",
    models=("model.onnx",),
    tags="selected_tags.csv",
    read=read_rows,
    form="(batch, height, width, 3)",
    channels=3,
    to_input=_as_it_is,
    to_scores=_as_it_is,
    whole=True,
)
