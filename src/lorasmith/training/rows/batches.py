"""The batches of an epoch: a function of (seed, epoch). Kohya's arithmetic: bucketed, partial batches kept."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from lorasmith.diffusion.noise import key_number
from lorasmith.recipe.buckets import Size
from lorasmith.training.inputs.images import TrainingImage


@dataclass(frozen=True)
class Visit:
    """The `visit`-th time (from 0) that an epoch shows an image."""

    image: TrainingImage
    visit: int


@dataclass(frozen=True)
class Batch:
    """Visits of one bucket, trained together."""

    bucket: Size
    visits: tuple[Visit, ...]


def epoch_batches(images: Sequence[TrainingImage], batch_size: int, seed: int, epoch: int) -> list[Batch]:
    """All batches of an epoch in their order; each image stands `repeats` times in its bucket."""
    chance = random.Random(key_number(seed, epoch, "order"))
    buckets: dict[Size, list[Visit]] = {}
    for image in images:
        buckets.setdefault(image.bucket, []).extend(Visit(image, visit) for visit in range(image.repeats))
    batches: list[Batch] = []
    for bucket in sorted(buckets):
        visits = buckets[bucket]
        chance.shuffle(visits)
        batches += [
            Batch(bucket, tuple(visits[start : start + batch_size])) for start in range(0, len(visits), batch_size)
        ]
    chance.shuffle(batches)
    return batches


def epoch_steps(batches: Sequence[Batch], accumulate: int) -> list[Sequence[Batch]]:
    """The micro-batches of each optimizer step; the last step of an epoch may have fewer."""
    return [batches[start : start + accumulate] for start in range(0, len(batches), accumulate)]
