"""The plan of a small dataset, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError
from lorasmith.images.opening import ImageFacts
from lorasmith.recipe.estimates import read_pace, write_pace
from lorasmith.recipe.plan import Plan, make_plan
from lorasmith.recipe.recipe import Recipe


def dataset(*images: tuple[int, int, int]) -> Dataset:
    """Items of (width, height, repeats)."""
    items = tuple(
        Item(Path(f"/x/{n}.png"), f"{n}.png", ImageFacts(Path(f"/x/{n}.png"), w, h, "png", str(n)), None, "", repeats)
        for n, (w, h, repeats) in enumerate(images)
    )
    return Dataset(items, (), ())


def test_a_plan_by_hand() -> None:
    recipe = Recipe(resolution=(512, 512), batch_size=4, epochs=2, accumulate=2)
    plan = make_plan(recipe, dataset((512, 512, 5), (600, 600, 1), (1000, 400, 1)))
    assert [image.bucket for image in plan.images] == [(512, 512), (512, 512), (768, 320)]
    assert [(bucket.size, bucket.images, bucket.batches) for bucket in plan.buckets] == [
        ((512, 512), 2, 2),
        ((768, 320), 1, 1),
    ]
    assert (plan.steps_per_epoch, plan.steps) == (2, 4)
    kept = 6 * 512 * 512 + 768 * 320
    whole = 6 * 512 * 512 + 800 * 320
    assert plan.cropped == pytest.approx(1 - kept / whole)


def test_flips_do_not_double_the_steps() -> None:
    """R1: follow the code, not the guide."""
    plain, flipped = (make_plan(Recipe(epochs=1, flip=flip), dataset((512, 512, 8))).steps for flip in (False, True))
    assert plain == flipped == 2


def test_solved_repeats_keep_the_folders_balance() -> None:
    recipe = Recipe(batch_size=3, epochs=1, target_steps=1120)
    plan = make_plan(recipe, dataset((512, 512, 5), (512, 512, 2)))
    assert plan.images[0].repeats / plan.images[1].repeats == 5 / 2
    assert plan.steps == 1120


def test_json_has_the_stable_shape() -> None:
    document = make_plan(Recipe(epochs=1), dataset((512, 512, 1))).as_json()
    assert {"images", "buckets", "steps_per_epoch", "steps", "seconds", "bytes"} <= document.keys()
    assert {"path", "repeats", "bucket", "resized"} <= document["images"][0].keys()
    assert document["buckets"] == [{"size": [512, 512], "images": 1, "batches": 1}]
    assert document["bytes"] > 0


def test_a_measured_pace_decides_the_time(tmp_path: Path) -> None:
    recipe = Recipe(epochs=3, batch_size=1)
    assert read_pace(tmp_path, "b") is None
    write_pace(tmp_path, "b", 1e-6)
    write_pace(tmp_path, "c", 2e-6)
    plan = make_plan(recipe, dataset((512, 512, 1)), pace=read_pace(tmp_path, "b"))
    assert plan.seconds == pytest.approx(3 * 512 * 512 * 1e-6)


def test_an_unusable_image_is_named() -> None:
    recipe = Recipe(epochs=1).model_copy(
        update={"bucket": Recipe(epochs=1).bucket.model_copy(update={"no_upscale": True})}
    )
    with pytest.raises(DatasetError, match=r"/x/0\.png"):
        make_plan(recipe, dataset((20, 20, 1)))


def test_no_image_is_an_error() -> None:
    with pytest.raises(DatasetError, match="no image"):
        make_plan(Recipe(epochs=1), dataset())


def test_a_cropped_image_is_planned_by_its_crop() -> None:
    whole = dataset((512, 512, 1)).items[0]
    part = replace(whole, crop=(0, 0, 256, 512))
    recipe = Recipe(resolution=(512, 512), epochs=1)
    (planned,) = make_plan(recipe, Dataset((part,), (), ())).images
    (same,) = make_plan(recipe, dataset((256, 512, 1))).images
    assert planned.crop == (0, 0, 256, 512)
    assert (planned.bucket, planned.resized) == (same.bucket, same.resized)
    assert make_plan(recipe, Dataset((whole,), (), ())).images[0].bucket != planned.bucket


def test_estimates_know_algorithm_and_memory_switches() -> None:
    def plan(**values: object) -> Plan:
        recipe = Recipe.model_validate({"epochs": 1, "preserve": {"kind": "none"}, **values})
        return make_plan(recipe, dataset((512, 512, 8)), pace=1e-6)

    plain = plan()
    assert plan(algorithm="loha").seconds > plain.seconds
    assert plan(algorithm="loha").disk == pytest.approx(2 * plain.disk, rel=0.01)
    assert plan(conv={"rank": 4}).seconds == pytest.approx(plain.seconds * 1.15, rel=1e-6)
    saving = plan(checkpointing=True)
    assert saving.bytes < plain.bytes
    assert saving.seconds == pytest.approx(plain.seconds * 4 / 3)
    assert plan(optimizer={"name": "lion"}).disk < plain.disk
    assert plan(lr={"text_encoder": 0, "text_encoder_2": 0}).disk < plain.disk
    assert plan(preserve={"kind": "images", "share": 0.5}).seconds == pytest.approx(1.5 * plain.seconds)
    many = plan(save_every="1 steps", epochs=20)
    few = plan(save_every="1 steps", epochs=20, keep_last=2)
    assert few.disk < many.disk
