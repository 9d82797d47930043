"""The plan: what a run will do with each image, and how long it takes, before anything runs (R1, R7, D16)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError
from lorasmith.images.crops import Box
from lorasmith.recipe.buckets import BucketRules, Placement, Size
from lorasmith.recipe.estimates import estimate_disk, estimate_memory, estimate_seconds, work_per_step
from lorasmith.recipe.framing import Framing, frame_in_bucket
from lorasmith.recipe.recipe import Recipe
from lorasmith.recipe.steps import ceil_div, solve_length


@dataclass(frozen=True)
class PlannedImage:
    """One image: how often an epoch shows it, at which size, and which part of it (None: the whole).

    `original` (width, height) is that part's size before it is resized (None: as the bucket).
    """

    name: str
    path: Path
    repeats: int
    bucket: Size
    resized: Size
    crop: Box | None = None
    original: Size | None = None

    def framing(self, *, flipped: bool = False) -> Framing:
        """What SDXL is told of it."""
        return frame_in_bucket(self.original or self.bucket, self.bucket, flipped=flipped)

    @property
    def cropped(self) -> float:
        """The share (0..1) of the resized picture that is cut away."""
        return Placement(self.bucket, self.resized).cropped


@dataclass(frozen=True)
class PlannedBucket:
    """One bucket: its distinct images, and its batches in an epoch."""

    size: Size
    images: int
    batches: int


@dataclass(frozen=True)
class Plan:
    """What a run does. `seconds` of training, `bytes` of memory, `disk` bytes written; estimates all three."""

    images: tuple[PlannedImage, ...]
    buckets: tuple[PlannedBucket, ...]
    factor: int
    steps_per_epoch: int
    epochs: int
    steps: int
    snapshots: int
    seconds: float
    bytes: int
    disk: int

    @property
    def cropped(self) -> float:
        """The share (0..1) of all resized pixels that is cut away, repeats counted."""
        whole = sum(image.repeats * image.resized[0] * image.resized[1] for image in self.images)
        kept = sum(image.repeats * image.bucket[0] * image.bucket[1] for image in self.images)
        return 1 - kept / whole

    def as_json(self) -> dict[str, Any]:
        return {
            "images": [
                {
                    "path": str(image.path),
                    "name": image.name,
                    "repeats": image.repeats,
                    "bucket": list(image.bucket),
                    "resized": list(image.resized),
                    "cropped": round(image.cropped, 4),
                    "crop": None if image.crop is None else list(image.crop),
                }
                for image in self.images
            ],
            "buckets": [
                {"size": list(bucket.size), "images": bucket.images, "batches": bucket.batches}
                for bucket in self.buckets
            ],
            "steps_per_epoch": self.steps_per_epoch,
            "epochs": self.epochs,
            "steps": self.steps,
            "snapshots": self.snapshots,
            "cropped": round(self.cropped, 4),
            "seconds": round(self.seconds, 1),
            "bytes": self.bytes,
            "disk": self.disk,
        }


def make_plan(recipe: Recipe, dataset: Dataset, *, pace: float | None = None) -> Plan:
    """The plan of training `recipe` on `dataset`; `pace` as `estimates.read_pace` gives it. Raises DatasetError."""
    if not dataset.items:
        raise DatasetError("there is no image to train on.")
    rules = recipe.bucket_rules
    placed = [(item, _place(rules, item)) for item in dataset.items]
    rows: Counter[Size] = Counter()
    for item, placement in placed:
        rows[placement.bucket] += item.repeats
    length = solve_length(
        rows,
        batch_size=recipe.batch_size,
        accumulate=recipe.accumulate,
        epochs=recipe.epochs,
        target_steps=recipe.target_steps,
    )
    distinct = Counter(placement.bucket for _, placement in placed)
    total_rows = length.factor * sum(rows.values())
    pixels = sum(length.factor * count * size[0] * size[1] for size, count in rows.items()) / total_rows
    snapshots = _snapshots(recipe, length.epochs, length.steps)
    work = work_per_step(recipe, total_rows * length.steps / length.steps_per_epoch, pixels)
    return Plan(
        images=tuple(
            PlannedImage(
                item.name,
                item.path,
                item.repeats * length.factor,
                placement.bucket,
                placement.resized,
                item.crop,
                item.size,
            )
            for item, placement in placed
        ),
        buckets=tuple(
            PlannedBucket(size, distinct[size], ceil_div(length.factor * rows[size], recipe.batch_size))
            for size in sorted(rows)
        ),
        factor=length.factor,
        steps_per_epoch=length.steps_per_epoch,
        epochs=length.epochs,
        steps=length.steps,
        snapshots=snapshots,
        seconds=estimate_seconds(recipe, work, pace),
        bytes=estimate_memory(recipe, max(size[0] * size[1] for size in rows)),
        disk=estimate_disk(recipe, snapshots),
    )


def _place(rules: BucketRules, item: Item) -> Placement:
    try:
        return rules.place(item.size)
    except DatasetError as fault:
        raise DatasetError(fault.message, where=item.path, hint=fault.hint) from None


def _snapshots(recipe: Recipe, epochs: int, steps: int) -> int:
    """How many snapshots a run writes; one when that depends on the clock."""
    every = recipe.save_every
    if every.unit == "minutes":
        return 1
    return max(1, int((epochs if every.unit == "epochs" else steps) // every.amount))
