"""Taggers in the WD14 layout: a folder with `model.onnx` and `selected_tags.csv`, run by onnxruntime."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lorasmith.dataset.reading import Dataset
from lorasmith.errors import DatasetError
from lorasmith.events import Progress, Work
from lorasmith.images.opening import open_rgb
from lorasmith.project import Project
from lorasmith.tags.store import ScoredTag, StoredTags, read_stored, store

MODEL_NAME, TAGS_NAME = "model.onnx", "selected_tags.csv"
_USUAL_SIDE = 448
_LEAST_STORED = 0.05
_BATCH = 8
_SAVE_EVERY = 256

Scores = npt.NDArray[np.float32]


class Tagger:
    """Gives every picture a score for every tag. `names` and `categories` (0 general, 4 character, 9 rating) are in
    the order of the scores; `identity` is the folder's name and the start of the model's sha256."""

    def __init__(self, session: Any, names: tuple[str, ...], categories: tuple[int, ...], identity: str) -> None:
        self.names = names
        self.categories = categories
        self.identity = identity
        self._session = session
        entry = session.get_inputs()[0]
        self._input: str = entry.name
        batch, height, _, _ = entry.shape
        self.side: int = height if isinstance(height, int) else _USUAL_SIDE
        self._fixed_batch = batch if isinstance(batch, int) else None

    def scores(self, images: Sequence[Image.Image]) -> Scores:
        """Scores in 0..1, shape (images, tags). Pictures are RGB and of any size."""
        if not images:
            return np.zeros((0, len(self.names)), np.float32)
        batch = np.stack([prepare(image, self.side) for image in images])
        if self._fixed_batch is None:
            return self._run(batch)
        size = self._fixed_batch
        parts = [self._run_padded(batch[start : start + size], size) for start in range(0, len(batch), size)]
        return np.concatenate(parts)

    def _run_padded(self, batch_NHWC: Scores, size: int) -> Scores:
        missing = size - len(batch_NHWC)
        filled = np.pad(batch_NHWC, ((0, missing), (0, 0), (0, 0), (0, 0)))
        return self._run(filled)[: len(batch_NHWC)]

    def _run(self, batch_NHWC: Scores) -> Scores:
        scores: Scores = self._session.run(None, {self._input: batch_NHWC})[0]
        return scores


def prepare(image: Image.Image, side: int) -> Scores:
    """A picture as WD14 taggers want it: centred on a white square, `side` pixels, BGR, float32 in 0..255, HWC."""
    longest = max(image.size)
    square = Image.new("RGB", (longest, longest), "white")
    square.paste(image.convert("RGB"), ((longest - image.width) // 2, (longest - image.height) // 2))
    if longest != side:
        way = Image.Resampling.BOX if longest > side else Image.Resampling.LANCZOS
        square = square.resize((side, side), way)
    return np.ascontiguousarray(np.asarray(square, dtype=np.float32)[:, :, ::-1])


def open_tagger(folder: Path | str) -> Tagger:
    """Load the tagger in `folder`. Raises DatasetError when a file is missing or does not fit the other."""
    folder = Path(folder)
    for name in (MODEL_NAME, TAGS_NAME):
        if not (folder / name).is_file():
            raise DatasetError(
                f"no {name} in this folder.", where=folder, hint=f"A tagger is {MODEL_NAME} and {TAGS_NAME}."
            )
    rows = _read_rows(folder / TAGS_NAME)
    session = _open_session(folder / MODEL_NAME)
    entry, outputs = session.get_inputs()[0], session.get_outputs()[0].shape
    if len(entry.shape) != 4 or entry.shape[3] != 3:
        raise DatasetError(
            f"wants input of shape {entry.shape}, not (batch, height, width, 3).", where=folder / MODEL_NAME
        )
    if isinstance(outputs[-1], int) and outputs[-1] != len(rows):
        raise DatasetError(f"{len(rows)} tags for {outputs[-1]} scores.", where=folder / TAGS_NAME)
    with (folder / MODEL_NAME).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    names, categories = tuple(name for name, _ in rows), tuple(category for _, category in rows)
    return Tagger(session, names, categories, f"{folder.resolve().name} {digest[:12]}")


def tag_images(project: Project, dataset: Dataset, tagger: Tagger) -> Work[int]:
    """Tag the images that have no caption and no tags by this tagger yet; store the raw tags with their scores.

    Gives the number of images tagged. What is done is stored along the way, so that it can be interrupted.
    """
    stored = read_stored(project)
    todo = [item for item in dataset.items if not item.caption and not _done(stored.get(item.facts.sha256), tagger)]
    fresh: list[StoredTags] = []
    try:
        for start in range(0, len(todo), _BATCH):
            batch = todo[start : start + _BATCH]
            scores = tagger.scores([open_rgb(item.path) for item in batch])
            for item, row in zip(batch, scores, strict=True):
                fresh.append(StoredTags(item.facts.sha256, tagger.identity, _likely(tagger, row)))
            if len(fresh) >= _SAVE_EVERY:
                store(project, fresh)
                fresh = []
            yield Progress("tagging", start + len(batch), len(todo))
    finally:
        if fresh:
            store(project, fresh)
    return len(todo)


def _done(stored: StoredTags | None, tagger: Tagger) -> bool:
    return stored is not None and stored.tagger == tagger.identity


def _likely(tagger: Tagger, row: Scores) -> tuple[ScoredTag, ...]:
    """The tags worth keeping: far below any threshold that somebody may set, all the ratings, best first."""
    kept = [
        ScoredTag(name, category, float(score))
        for name, category, score in zip(tagger.names, tagger.categories, row, strict=True)
        if score >= _LEAST_STORED
    ]
    return tuple(sorted(kept, key=lambda tag: -tag.score))


def _read_rows(file: Path) -> list[tuple[str, int]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = [(row["name"], int(row["category"])) for row in csv.DictReader(lines)]
    except (KeyError, ValueError, TypeError):
        raise DatasetError(
            "not a tag list.", where=file, hint="Its first line must be tag_id,name,category,count."
        ) from None
    if not rows:
        raise DatasetError("an empty tag list.", where=file)
    return rows


def _open_session(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as fault:  # onnxruntime raises classes of its own, one for each stage of loading
        first = (str(fault) or type(fault).__name__).splitlines()[0]
        raise DatasetError(f"cannot be loaded as a tagger: {first}", where=file) from None
