"""PixAI's layout (0.9): channels first, red first, values in -1..1, stretched; probabilities by the output's name.

Its list has the name of WD14's, with a column of the series that a character is from.
"""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image

from lorasmith.tags.layouts.layout import STRETCHED, Array, Layout
from lorasmith.tags.layouts.numbers import standardised
from lorasmith.tags.layouts.wd14 import read_rows

_LONGEST_HEAD = 4096  # bytes


def _is_own(file: Path) -> bool:
    with file.open("rb") as data:
        head = data.readline(_LONGEST_HEAD).decode("utf-8-sig", "ignore")
    return "ips" in next(csv.reader([head]), [])


def _to_input(batch: Array) -> Array:
    return standardised(batch, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _as_it_is(values: Array) -> Array:
    return values


LAYOUT = Layout(
    name="pixai",
    models=("model.onnx",),
    tags="selected_tags.csv",
    read=read_rows,
    form="(batch, 3, height, width)",
    channels=1,
    to_input=_to_input,
    to_scores=_as_it_is,
    whole=True,
    margin=STRETCHED,
    shrink=Image.Resampling.BILINEAR,
    outputs=("prediction", "output"),
    is_own=_is_own,
)
"""deepghs/imgutils: zoo, EndpointHandler (Resize((448, 448)), Normalize 0.5); imgutils/tagging/pixai.py."""
