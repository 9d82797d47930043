"""The batches of an epoch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.rows.batches import Visit, epoch_batches, epoch_steps

IMAGES = [
    TrainingImage(f"{number}.png", Path(f"{number}.png"), repeats, bucket, bucket, sha256="", caption="")
    for number, (repeats, bucket) in enumerate([(3, (64, 64)), (4, (64, 64)), (1, (64, 96)), (2, (96, 64))])
]


def test_every_visit_once_and_buckets_do_not_mix() -> None:
    batches = epoch_batches(IMAGES, 3, seed=1, epoch=0)
    visits = [visit for batch in batches for visit in batch.visits]
    expected = [Visit(image, visit) for image in IMAGES for visit in range(image.repeats)]
    assert Counter(visits) == Counter(expected)
    assert all(visit.image.bucket == batch.bucket for batch in batches for visit in batch.visits)
    assert sorted(len(batch.visits) for batch in batches) == [1, 1, 2, 3, 3]


def test_a_function_of_seed_and_epoch() -> None:
    orders = {(seed, epoch): epoch_batches(IMAGES, 3, seed, epoch) for seed in (1, 2) for epoch in (0, 1)}
    assert epoch_batches(IMAGES, 3, 1, 1) == orders[1, 1]
    assert len({tuple(batches) for batches in orders.values()}) == 4


def test_steps_keep_the_last_partial_accumulation() -> None:
    batches = epoch_batches(IMAGES, 3, seed=1, epoch=0)
    assert [len(step) for step in epoch_steps(batches, 2)] == [2, 2, 1]
