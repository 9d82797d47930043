"""How far each image lies from those of its set that it is most like, by what the embedded tagger sees in pictures."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from lorasmith.dataset.index import Index, open_index
from lorasmith.dataset.measuring import read_stat, topic_of
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import LorasmithError
from lorasmith.events import Note, Work
from lorasmith.images.crops import open_part
from lorasmith.project import EMBEDDED, Project, SubjectKind
from lorasmith.tags.encoders import OnnxEncoder, Vectors, tagger_encoder

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
                known = _apart(_look_at_all(index, items)).tolist()
            except LorasmithError as fault:
                yield Note(f"{_UNKNOWN}: {fault}", "warning")
                return {}
            index.keep(_APART, key, known)
    if statistics.median(known) > VARIED:
        yield Note(f"{_UNKNOWN}: the embedded tagger sees nothing that they have in common (photographs?).")
        return {}
    return {item.name: float(value) for item, value in zip(items, known, strict=True)}


def _look_at_all(index: Index, items: Sequence[Item]) -> Vectors:
    """(images, numbers). Raises ExamError, TagError, ImageError."""
    encoder: OnnxEncoder | None = None
    found: list[Vectors] = []
    for start in range(0, len(items), _BATCH):
        part = items[start : start + _BATCH]
        topics = [(topic_of(_VECTOR, item), item.path, read_stat(item.path)) for item in part]
        known = [index.known_bytes(*topic) for topic in topics]
        fresh = [number for number, value in enumerate(known) if value is None]
        if fresh:
            encoder = encoder or tagger_encoder(EMBEDDED)
            vectors = encoder.encode([open_part(part[number].path, part[number].crop) for number in fresh])
            for number, vector in zip(fresh, vectors, strict=True):
                known[number] = vector.astype("<f2").tobytes()
                index.learn_bytes(*topics[number], known[number] or b"")
        found += [np.frombuffer(value or b"", "<f2").astype(np.float32) for value in known]
    return np.stack(found)


def _apart(vectors: Vectors) -> Vectors:
    """One less the mean cosine to the nearest ones."""
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    cosines = units @ units.T
    np.fill_diagonal(cosines, -1)
    nearest = np.sort(cosines, axis=1)[:, -NEIGHBOURS:]
    apart: Vectors = np.round(1 - nearest.mean(axis=1), 4).astype(np.float32)
    return apart
