"""How far each image lies from those of its set that it is most like, by what the embedded tagger sees in pictures."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lorasmith.dataset.index import Index, open_index
from lorasmith.dataset.measuring import read_stat, topic_of
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError, LorasmithError
from lorasmith.events import Note, Work
from lorasmith.images.crops import Box, open_part
from lorasmith.pools.dealing import deal_out
from lorasmith.pools.pool import Job
from lorasmith.project import EMBEDDED, Project, SubjectKind
from lorasmith.tags.encoders import Vectors, tagger_encoder

NEIGHBOURS = 5
"""So many of the images that an image is most like are asked; a copy of it is one of them, not all."""
FEWEST, MOST = 12, 500
"""In fewer images nobody is usual; more would cost longer than the rest of an inspection (some 10 ms each)."""
KINDS = (SubjectKind.CHARACTER, SubjectKind.STYLE)
"""What looks alike in all its images; the subjects of a concept vary, and a couple is two."""
VARIED = 0.2
"""A median over this is of images that the encoder cannot bring together. Characters and styles, the world's own and
strangers': 0.03 to 0.195; concepts 0.24 to 0.29."""
_BATCH = 16
_NEVER = 1 << 62
"""Batches from which on the processes of this machine look: the encoder has the threads of all cores."""
_UNKNOWN = "Whether every image looks like the others is not known"
_VECTOR, _APART = "look of the tagger-1", "apart-1"
"""Names of measures; up when the measure changes."""


def measure_apart(project: Project, dataset: Dataset) -> Work[Mapping[str, float]]:
    """By image: one less its mean cosine to the `NEIGHBOURS` images that it is most like, 0 to 2; {} where nobody can
    tell, which a note says: the encoder knows the embedded base's drawings alone.

    What was looked at once is not looked at again. Made pictures are left out.
    """
    items = [item for item in dataset.items if item.lineage is None]
    if project.lora.subject not in KINDS or project.bundle or len(items) < FEWEST:
        return {}
    if project.lora.base != EMBEDDED or len(items) > MOST:
        why = f"{len(items)} images are too many" if project.lora.base == EMBEDDED else "no encoder knows this base"
        yield Note(f"{_UNKNOWN}: {why}.")
        return {}
    key = hashlib.sha256("\n".join(item.content for item in items).encode()).hexdigest()
    with open_index(project.cache) as index:
        known = index.recall(_APART, key)
        if known is None:
            try:
                known = _apart((yield from _look_at_all(index, items))).tolist()
            except LorasmithError as fault:
                yield Note(f"{_UNKNOWN}: {fault}", "warning")
                return {}
            index.keep(_APART, key, known)
    if statistics.median(known) > VARIED:
        yield Note(f"{_UNKNOWN}: the embedded tagger sees nothing that they have in common (photographs?).")
        return {}
    return {item.name: float(value) for item, value in zip(items, known, strict=True)}


def _look_at_all(index: Index, items: Sequence[Item]) -> Work[Vectors]:
    """(images, numbers). Raises ExamError, TagError, ImageError, and DatasetError for images that end every process."""
    stats = [read_stat(item.path) for item in items]
    topics = [topic_of(_VECTOR, item) for item in items]
    known = [index.known_bytes(topics[place], item.path, stats[place]) for place, item in enumerate(items)]
    parts = (range(start, min(start + _BATCH, len(items))) for start in range(0, len(items), _BATCH))
    todo = [fresh for fresh in ([place for place in part if known[place] is None] for part in parts) if fresh]

    def learn(number: int, vectors: Sequence[bytes]) -> None:
        for place, vector in zip(todo[number], vectors, strict=True):
            known[place] = vector
            index.learn_bytes(topics[place], items[place].path, stats[place], vector)
        index.save()

    batches = [[(items[place].path, items[place].crop) for place in part] for part in todo]
    killed = yield from deal_out(Job(open_vectors), batches, "looking at images", learn, chunk=1, many=_NEVER)
    if killed:
        names = ", ".join(items[place].name for place in todo[killed[0]])
        raise DatasetError(f"one of these images ends every process that reads it: {names}.")
    return np.stack([np.frombuffer(vector or b"", "<f2").astype(np.float32) for vector in known])


def open_vectors() -> Callable[[Sequence[tuple[Path, Box | None]]], list[bytes]]:
    """What the embedded tagger's inside says of a batch of files, as the index keeps it."""
    encoder = tagger_encoder(EMBEDDED)

    def look(places: Sequence[tuple[Path, Box | None]]) -> list[bytes]:
        return [vector.astype("<f2").tobytes() for vector in encoder.encode([open_part(*place) for place in places])]

    return look


def _apart(vectors: Vectors) -> Vectors:
    """One less the mean cosine to the nearest ones."""
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    cosines = units @ units.T
    np.fill_diagonal(cosines, -1)
    nearest = np.sort(cosines, axis=1)[:, -NEIGHBOURS:]
    apart: Vectors = np.round(1 - nearest.mean(axis=1), 4).astype(np.float32)
    return apart
