"""Taggers: models in a known layout (`lorasmith.tags.layouts`), run by onnxruntime."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lorasmith.errors import BaseError, DatasetError, first_line
from lorasmith.hub import is_hub_name
from lorasmith.images.crops import cut, find_squares
from lorasmith.project import EMBEDDED
from lorasmith.tags.hub import fetch_tagger
from lorasmith.tags.layouts import find_layout
from lorasmith.tags.layouts.layout import EDGE, STRETCHED, Layout, TagList
from lorasmith.tags.onnx_sessions import open_session

_USUAL_SIDE = 448
_ROUNDING = 0.001
_LARGE = 16
_ZOOMS = (1.0, 1.3)
"""Of the embedded tagger: chosen on framed examples, see docs/faults/a-images.md."""

Scores = npt.NDArray[np.float32]


class Tagger:
    """Gives every picture a score for every tag. `names` and `categories` (`CATEGORIES`) are in
    the order of the scores; `identity` is the tagger's name and the start of its model's sha256; `source` what it was
    opened by, as a worker opens it again."""

    def __init__(self, session: Any, layout: Layout, tags: TagList, identity: str, source: str | Path = "") -> None:
        self.names = tags.names
        self.source = source
        self.categories = tags.categories
        self.identity = identity
        self._session = session
        self._layout = layout
        self._model = tags.model
        self._columns = np.array(tags.columns)
        entry = session.get_inputs()[0]
        self._input: str = entry.name
        self._output = layout.choose_output([output.name for output in session.get_outputs()])
        batch, height = entry.shape[0], entry.shape[2 if layout.channels == 1 else 1]
        self.side: int = height if isinstance(height, int) else _USUAL_SIDE
        self._fixed_batch = batch if isinstance(batch, int) and batch > 0 else None

    def scores(self, images: Sequence[Image.Image]) -> Scores:
        """Scores in 0..1, shape (images, tags). Pictures are RGB and of any size. Raises DatasetError when the model
        gives something else; NaN is passed on, for it may be one picture's fault."""
        return self.scores_of([self.views(image) for image in images])

    def views(self, image: Image.Image) -> list[Scores]:
        """What this tagger looks at of a picture: the whole, or parts of it, prepared."""
        zooms = self._layout.zooms if image.width != image.height else ()
        squares = find_squares(image, zooms) if zooms else ()
        return [self.prepare(cut(image, square)) for square in squares] or [self.prepare(image)]

    def prepare(self, image: Image.Image) -> Scores:
        """A picture as this tagger has learnt pictures."""
        return prepare(image, self.side, self._layout.margin, self._layout.shrink)

    @property
    def model(self) -> Path:
        """The file that it was loaded from."""
        return self._model

    def to_input(self, prepared: Scores) -> Scores:
        """What the model is given for a batch of pictures that `prepare` made."""
        return self._layout.to_input(prepared)

    def scores_of(self, views: Sequence[Sequence[Scores]]) -> Scores:
        """Like `scores`, by the `views` of each picture."""
        if not views:
            return np.zeros((0, len(self.names)), np.float32)
        scores = self._run_all(self._layout.to_input(np.stack([view for each in views for view in each])))
        if all(len(each) == 1 for each in views):
            return scores
        ends = np.cumsum([len(each) for each in views])[:-1]
        return np.stack([part.mean(axis=0) for part in np.split(scores, ends)])

    def _run_all(self, batch: Scores) -> Scores:
        if self._fixed_batch is None:
            return self._run(batch)
        size = self._fixed_batch
        parts = [self._run_padded(batch[start : start + size], size) for start in range(0, len(batch), size)]
        return np.concatenate(parts)

    def _run_padded(self, batch: Scores, size: int) -> Scores:
        missing = size - len(batch)
        filled = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0)))
        return self._run(filled)[: len(batch)]

    def _run(self, batch: Scores) -> Scores:
        model = self._model
        try:
            given = np.asarray(self._session.run(None, {self._input: batch})[self._output])
        except Exception as fault:  # onnxruntime raises classes of its own
            raise DatasetError(f"this tagger fails: {first_line(fault)}", where=model) from None
        if given.ndim != 2 or len(given) != len(batch) or given.shape[1] <= self._columns.max():
            raise DatasetError(
                f"gives scores of shape {given.shape} for {len(batch)} images and {len(self.names)} tags.", where=model
            )
        scores = self._layout.to_scores(given.astype(np.float32)[:, self._columns])
        if np.any((scores < -_ROUNDING) | (scores > 1 + _ROUNDING)):
            raise DatasetError("gives scores outside of 0..1, so it is no tagger of this layout.", where=model)
        return np.clip(scores, 0, 1)


def prepare(
    image: Image.Image, side: int, margin: str = "white", shrink: Image.Resampling = Image.Resampling.BOX
) -> Scores:
    """A picture as taggers want it: centred on a square, `side` pixels, BGR, float32 in 0..255, HWC. What is missing
    has the colour `margin` (WD14's taggers have learnt white), goes on as the picture's EDGE, or the picture is
    STRETCHED; a larger one is made smaller by `shrink`."""
    image, longest = image.convert("RGB"), max(image.size)
    if longest > _LARGE * side:  # no square of a picture of a hundred million pixels
        image = image.reduce(longest // (_LARGE * side) + 1)
        longest = max(image.size)
    left, top = (longest - image.width) // 2, (longest - image.height) // 2
    if margin == STRETCHED or longest == min(image.size):
        square = image
    elif margin == EDGE:
        widths = ((top, longest - image.height - top), (left, longest - image.width - left), (0, 0))
        square = Image.fromarray(np.pad(np.asarray(image), widths, mode="edge"))
    else:
        square = Image.new("RGB", (longest, longest), margin)
        square.paste(image, (left, top))
    if square.size != (side, side):
        square = square.resize((side, side), shrink if longest > side else Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(square, dtype=np.float32)[:, :, ::-1])


def open_tagger(name: str | Path) -> Tagger:
    """Load a tagger: a folder, "doodle" for the embedded one, or a hub id such as ``OWNER/REPOSITORY``.

    The embedded one's name goes first, then a folder (one called doodle is meant by ``./doodle``). Raises DatasetError
    when a file is missing, does not fit the other, or cannot be fetched; BaseError when the embedded one is not
    installed.
    """
    folder = Path(name).expanduser()
    if name == EMBEDDED:  # it has seen squares without margins only
        return _load(_embedded_folder(), EMBEDDED, EMBEDDED, EDGE, _ZOOMS)
    if isinstance(name, Path) or folder.is_dir():
        return _load(folder, folder.resolve().name, folder.resolve())
    if is_hub_name(name):
        return _load(fetch_tagger(name), name, name)
    return _load(folder, folder.name, folder)


def _load(folder: Path, name: str, source: str | Path, margin: str = "", zooms: tuple[float, ...] = ()) -> Tagger:
    layout = find_layout(folder)
    layout = replace(layout, margin=margin or layout.margin, zooms=zooms)
    tags = layout.read_list(folder)
    session = open_session(tags.model, tags.model, "a tagger", DatasetError)
    entry, outputs = session.get_inputs()[0], session.get_outputs()
    given = outputs[layout.choose_output([output.name for output in outputs])].shape
    if len(entry.shape) != 4 or entry.shape[layout.channels] != 3:
        raise DatasetError(f"wants input of shape {entry.shape}, not {layout.form}.", where=tags.model)
    count, least = len(tags.names), max(tags.columns) + 1
    if given and isinstance(given[-1], int) and (given[-1] != count if layout.whole else given[-1] < least):
        raise DatasetError(f"{count} tags for {given[-1]} scores.", where=tags.tags)
    with tags.model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Tagger(session, layout, tags, f"{name} {digest[:12]}", source)


def _embedded_folder() -> Path:
    """Where the embedded base keeps its tagger. Data of a higher layer: only its place is known here."""
    with as_file(files("lorasmith") / "bases" / EMBEDDED / "tagger") as folder:
        if not folder.is_dir():
            raise BaseError(
                "the embedded tagger is missing.", where=folder, hint="Reinstall lorasmith, or name another tagger."
            )
        return folder
