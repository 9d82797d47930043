"""Buckets against kohya-ss/sd-scripts: its counts, its choices, its rounding."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lorasmith.errors import DatasetError
from lorasmith.recipe.buckets import BucketRules, Size, bucket_sizes


@pytest.mark.parametrize(
    ("resolution", "smallest", "largest", "step", "count"),
    [
        ((512, 512), 256, 1024, 64, 17),
        ((768, 768), 256, 1024, 64, 19),
        ((1024, 1024), 256, 1024, 64, 25),
        ((1024, 1024), 256, 2048, 64, 41),
        ((1024, 1024), 256, 2048, 32, 81),
    ],
)
def test_counts_of_kohya(resolution: Size, smallest: int, largest: int, step: int, count: int) -> None:
    sizes = bucket_sizes(resolution, smallest, largest, step)
    assert len(sizes) == count
    assert sizes == sorted(set(sizes))
    assert all(w * h <= resolution[0] * resolution[1] and not w % step and not h % step for w, h in sizes)


def test_a_low_maximum_costs_pixels() -> None:
    photo = (6000, 4000)
    clamped = BucketRules((1024, 1024), largest=1024).place(photo)
    free = BucketRules((1024, 1024), largest=2048).place(photo)
    assert clamped.bucket == (1024, 704)
    assert free.bucket == (1216, 832)
    assert free.resized == (1248, 832)


def test_an_image_of_a_bucket_s_size_keeps_it() -> None:
    placement = BucketRules((512, 512)).place((448, 576))
    assert (placement.bucket, placement.resized, placement.cropped) == ((448, 576), (448, 576), 0.0)


def test_without_buckets_all_go_to_the_resolution() -> None:
    rules = BucketRules((512, 768), enabled=False)
    assert rules.sizes == ((512, 768),)
    assert rules.place((1000, 1000)).resized == (768, 768)


def test_every_image_covers_its_bucket() -> None:
    chance = random.Random(3)
    for rules in (
        BucketRules((512, 512)),
        BucketRules((1024, 768), largest=2048, step=32),
        BucketRules((512, 512), no_upscale=True),
    ):
        for _ in range(300):
            image = (chance.randint(64, 4000), chance.randint(64, 4000))
            placement = rules.place(image)
            assert placement.resized[0] >= placement.bucket[0] > 0, (image, placement)
            assert placement.resized[1] >= placement.bucket[1] > 0, (image, placement)
            assert 0 <= placement.cropped < 1


@pytest.mark.parametrize(
    ("image", "resized", "bucket"),
    [
        # small enough: only cut to the step
        ((300, 200), (300, 200), (256, 192)),
        ((512, 512), (512, 512), (512, 512)),
        # too large: the side that keeps the shape better is made exact (worked out by hand from the rule)
        ((1024, 1024), (512, 512), (512, 512)),
        ((1920, 1080), (683, 384), (640, 384)),
        ((1000, 3000), (256, 768), (256, 768)),
    ],
)
def test_without_upscaling(image: Size, resized: Size, bucket: Size) -> None:
    placement = BucketRules((512, 512), no_upscale=True).place(image)
    assert (placement.resized, placement.bucket) == (resized, bucket)


def test_an_image_smaller_than_a_step_is_named() -> None:
    with pytest.raises(DatasetError, match="40x300 image is smaller than one bucket step of 64"):
        BucketRules((512, 512), no_upscale=True).place((40, 300))


@pytest.mark.parametrize(("side", "largest"), [(512, 1024), (1024, 1024), (1024, 2048)])
def test_choice_and_size_as_kohya_s_arithmetic(side: int, largest: int) -> None:
    """argmin over |bucket ratio - image ratio|, first of equals; then scaled to cover, int(x + 0.5)."""
    rules = BucketRules((side, side), smallest=256, largest=largest)
    ratios = np.array([width / height for width, height in rules.sizes])
    chance = random.Random(side + largest)
    for _ in range(300):
        width, height = chance.randint(100, 4000), chance.randint(100, 4000)
        if (width, height) in rules.sizes:
            continue
        wanted = rules.sizes[int(np.abs(ratios - width / height).argmin())]
        if width / height > wanted[0] / wanted[1]:
            scale = wanted[1] / height
        else:
            scale = wanted[0] / width
        placed = rules.place((width, height))
        assert placed.bucket == wanted
        assert placed.resized == (int(width * scale + 0.5), int(height * scale + 0.5))
