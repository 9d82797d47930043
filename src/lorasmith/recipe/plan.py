"""The plan: what a run will do with each image, and how long it takes, before anything runs (R1, R7, D16)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.bases.framing import Framing, frame_in_bucket
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.diffusion.limits import GREATEST_SIDE, LEAST_SIDE
from lorasmith.errors import DatasetError, RecipeError
from lorasmith.images.crops import Box
from lorasmith.recipe.buckets import BucketRules, Placement, Size
from lorasmith.recipe.estimates import (
    drawing_work,
    encoding_work,
    estimate_disk,
    estimate_seconds,
    start_seconds,
    validation_work,
    work_per_step,
)
from lorasmith.recipe.memory import Memory, memory_of
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
    """What a run does. `seconds` from its start to its adapter, `preparing` of them before the first step (with the
    start of the program, and where nothing lies in the project's cache yet); `memory` by what holds it, `disk` bytes
    written: estimates all."""

    images: tuple[PlannedImage, ...]
    buckets: tuple[PlannedBucket, ...]
    factor: int
    steps_per_epoch: int
    epochs: int
    steps: int
    snapshots: int
    seconds: float
    preparing: float
    memory: Memory
    disk: int

    @property
    def bytes(self) -> int:
        """Of memory on the device, in all."""
        return self.memory.total

    @property
    def pixels(self) -> int:
        """Of the largest bucket."""
        return max(bucket.size[0] * bucket.size[1] for bucket in self.buckets)

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
            "preparing": round(self.preparing, 1),
            "bytes": self.bytes,
            "memory": self.memory.as_json(),
            "disk": self.disk,
        }


def make_plan(
    recipe: Recipe, dataset: Dataset, *, pace: float | None = None, opening: float | None = None, held: int = 0
) -> Plan:
    """The plan of training `recipe` on `dataset`, with so many images `held` out beside it; `pace` and `opening` as
    `estimates.read_pace` and `read_opening` give them. Raises DatasetError."""
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
    snapshots = _snapshots(recipe, length.epochs, length.steps)
    epoch = sum(_epoch_work(recipe, length.factor * count, size) for size, count in rows.items())
    work = epoch * length.steps / length.steps_per_epoch
    aside = _work_aside(recipe, distinct, snapshots, length.epochs, length.steps, held)
    preparing = start_seconds(recipe, opening) + estimate_seconds(recipe, _preparing_work(recipe, distinct), pace)
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
        seconds=preparing + estimate_seconds(recipe, work + aside, pace),
        preparing=preparing,
        memory=memory_of(recipe, max(size[0] * size[1] for size in rows)),
        disk=estimate_disk(recipe, snapshots),
    )


def _place(rules: BucketRules, item: Item) -> Placement:
    try:
        return rules.place(item.size)
    except DatasetError as fault:
        raise DatasetError(fault.message, where=item.path, hint=fault.hint) from None


def check_drawn_sizes(recipe: Recipe, plan: Plan) -> None:
    """Raises RecipeError where the base shall draw pictures of a size that cannot be drawn."""
    wrong = [
        size
        for size in (bucket.size for bucket in plan.buckets)
        if not all(LEAST_SIDE <= side <= GREATEST_SIDE for side in size)
    ]
    if recipe.preserve.draws and wrong:
        raise RecipeError(
            f"preserve.kind = {recipe.preserve.kind}: the base draws a picture of each bucket, of sides from "
            f"{LEAST_SIDE} to {GREATEST_SIDE}, and one is {wrong[0][0]}x{wrong[0][1]}.",
            hint=f"Set bucket.min = {LEAST_SIDE}, bucket.no_upscale = false, or preserve.kind = differential.",
        )


def _epoch_work(recipe: Recipe, rows: int, size: Size) -> float:
    """Row-pixels of a bucket in an epoch; its last batch may be smaller."""
    batches, rest = divmod(rows, recipe.batch_size)
    pixels = size[0] * size[1]
    work = batches * work_per_step(recipe, recipe.batch_size, pixels)
    return work + (work_per_step(recipe, rest, pixels) if rest else 0)


def _preparing_work(recipe: Recipe, images: Counter[Size]) -> float:
    """Row-pixels before the first step: latents, and pictures that the base draws or takes to preserve."""
    table = recipe.preserve
    work = 0.0
    if not (recipe.augment.colour or recipe.augment.random_crop):
        work += encoding_work(recipe, sum(count * size[0] * size[1] for size, count in images.items()))
    if table.draws:
        each = ceil_div(table.pictures, len(images))
        work += sum(drawing_work(recipe, each, table.steps, size[0] * size[1]) for size in images)
    return work


def _work_aside(recipe: Recipe, images: Counter[Size], snapshots: int, epochs: int, steps: int, held: int) -> float:
    """Row-pixels of samples and validation along the way."""
    sample, pixels = recipe.sample, recipe.resolution[0] * recipe.resolution[1]
    work = snapshots * drawing_work(recipe, len(sample.prompts), sample.steps, pixels) if sample.prompts else 0.0
    if held:
        every = recipe.validation.every
        # NOTE: each time the adapter's loss, and once the base's.
        times = 1 + (epochs if every.unit == "epochs" else steps if every.unit == "steps" else 0) // every.amount
        mean = sum(count * size[0] * size[1] for size, count in images.items()) / images.total()
        work += times * validation_work(held, mean)
    return work


def _snapshots(recipe: Recipe, epochs: int, steps: int) -> int:
    """How many snapshots a run writes; one when that depends on the clock."""
    every = recipe.save_every
    if every.unit == "minutes":
        return 1
    return max(1, int((epochs if every.unit == "epochs" else steps) // every.amount))
