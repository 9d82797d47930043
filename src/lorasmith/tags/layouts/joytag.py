"""JoyTag's layout: channels first, the colours as CLIP wants them, logits; a list of names without kinds."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lorasmith.errors import DatasetError
from lorasmith.tags.categories import GENERAL
from lorasmith.tags.layouts.layout import Array, Layout, Row
from lorasmith.tags.layouts.numbers import probabilities, standardised

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's pictures, red first (openai/CLIP, clip/clip.py, _transform)."""


def read_names(file: Path) -> list[Row]:
    """The tags of a top_tags.txt, one a line, in the order of the model's outputs. Raises DatasetError."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DatasetError("not a tag list.", where=file, hint="It must have a tag a line.") from None
    names = [line.strip() for line in lines if line.strip()]
    return [(column, name, GENERAL) for column, name in enumerate(names)]


def _to_input(batch: Array) -> Array:
    return standardised(batch, MEAN, DEVIATION)


LAYOUT = Layout(
    name="joytag",
    models=("model.onnx",),
    tags="top_tags.txt",
    read=read_names,
    form="(batch, 3, height, width)",
    channels=1,
    to_input=_to_input,
    to_scores=probabilities,
    whole=True,
    gives_way_to=("selected_tags.csv",),
    shrink=Image.Resampling.BICUBIC,
)
"""fancyfeast/joytag, README.md, prepare_image and predict."""
