"""The plan of a small dataset, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lorasmith.bases.families import find_family
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError
from lorasmith.images.opening import ImageFacts
from lorasmith.recipe.estimates import (
    CHECKPOINTING_FIXED_TIME,
    CHECKPOINTING_TIME,
    FORWARD,
    encoding_work,
    knows_pace,
    read_opening,
    read_pace,
    start_seconds,
    work_per_step,
    write_pace,
)
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
    assert read_pace(tmp_path, recipe) is None
    write_pace(tmp_path, recipe, 1e-6)
    write_pace(tmp_path, recipe.model_copy(update={"precision": "bf16"}), 2e-6)
    write_pace(tmp_path, recipe.model_copy(update={"base": "c"}), 3e-6)
    plan = make_plan(recipe, dataset((512, 512, 1)), pace=read_pace(tmp_path, recipe))
    assert plan.seconds - plan.preparing == pytest.approx(3 * work_per_step(recipe, 1, 512 * 512) * 1e-6)
    assert plan.preparing == pytest.approx(start_seconds(recipe) + encoding_work(recipe, 512 * 512) * 1e-6)


def test_a_measured_opening_takes_the_place_of_the_guess(tmp_path: Path) -> None:
    recipe = Recipe(epochs=3, batch_size=1)
    assert read_opening(tmp_path, recipe) is None
    write_pace(tmp_path, recipe, 1e-6, 50.0)
    assert read_opening(tmp_path, recipe.model_copy(update={"base": "c"})) is None
    plan = make_plan(recipe, dataset((512, 512, 1)), pace=1e-6, opening=read_opening(tmp_path, recipe))
    assert plan.preparing == pytest.approx(50 * 1.05 + encoding_work(recipe, 512 * 512) * 1e-6)
    assert read_pace(tmp_path, recipe) == 1e-6


def test_the_pace_of_the_same_algorithm_comes_first(tmp_path: Path) -> None:
    lora, loha = Recipe(epochs=1), Recipe(epochs=1, algorithm="loha")
    write_pace(tmp_path, lora, 1e-6)
    assert (knows_pace(tmp_path, lora), knows_pace(tmp_path, loha)) == (True, False)
    assert read_pace(tmp_path, loha) == 1e-6
    write_pace(tmp_path, loha, 2e-6)
    assert knows_pace(tmp_path, loha)
    assert (read_pace(tmp_path, lora), read_pace(tmp_path, loha)) == (1e-6, 2e-6)
    assert read_pace(tmp_path, Recipe(epochs=1, dora=True)) == 2e-6
    (tmp_path / "pace.json").write_text("torn")
    assert read_pace(tmp_path, lora) is None


def test_work_counts_every_pass() -> None:
    """Row-pixels of rows to learn, of preserved rows with their pass through the bare base, and of what is fixed."""

    def work(rows: int, pixels: int = 10_000, **values: object) -> float:
        shape = {"epochs": 1, "rank": 8, "lr": {"text_encoder": 0}, "preserve": {"kind": "none"}, **values}
        return work_per_step(Recipe.model_validate(shape), rows, pixels)

    fixed = work(0)
    assert fixed > 0
    assert work(3) == pytest.approx(fixed + 3 * 10_000)
    assert work(3, lr={}) == pytest.approx(work(3) + 3 * 5_500)
    images = {"kind": "images", "share": 0.5}
    assert work(3, preserve=images) == work(5)
    bare = FORWARD * (2 * 10_000 + fixed / 2)
    for kind in ("differential", "prior"):
        assert work(3, preserve={**images, "kind": kind}) == pytest.approx(work(5) + bare)
        assert work(3, preserve={**images, "kind": kind, "weight": 0}) == work(3)
    assert work(3, rank=64) > work(3, rank=16) > work(3)
    again = work(3, checkpointing=True)
    assert again == pytest.approx(3 * 10_000 * CHECKPOINTING_TIME + fixed * CHECKPOINTING_FIXED_TIME)
    assert work(1, algorithm="loha") > work(1, algorithm="lora")


def test_partial_batches_are_counted_as_they_are() -> None:
    recipe = Recipe(epochs=1, batch_size=4)
    plan = make_plan(recipe, dataset((512, 512, 9)), pace=1e-6)
    work = 2 * work_per_step(recipe, 4, 512 * 512) + work_per_step(recipe, 1, 512 * 512)
    assert plan.seconds - plan.preparing == pytest.approx(work * 1e-6)


def test_what_is_drawn_and_held_out_takes_time() -> None:
    def plan(held: int = 0, **values: object) -> Plan:
        recipe = Recipe.model_validate({"epochs": 4, "preserve": {"kind": "none"}, **values})
        return make_plan(recipe, dataset((512, 512, 8)), pace=1e-6, held=held)

    plain = plan()
    drawn = 6 * 512 * 512 * (2 * FORWARD * 10 + find_family("doodle").cost.encoding) * 1e-6
    prior = plan(preserve={"kind": "prior", "pictures": 6, "steps": 10})
    assert prior.preparing - plain.preparing == pytest.approx(drawn)
    sampled = plan(sample={"prompts": ["a", "b", "c"], "steps": 10})
    assert sampled.preparing == plain.preparing
    assert sampled.seconds - plain.seconds == pytest.approx(4 * drawn / 2)
    judged = plan(held=2).seconds - plain.seconds
    assert judged == pytest.approx(5 * 2 * 4 * 512 * 512 * FORWARD * 1e-6)


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
    assert plan(conv={"rank": 4}).seconds > plain.seconds
    saving = plan(checkpointing=True)
    assert saving.bytes < plain.bytes
    assert saving.seconds > plain.seconds
    assert plan(optimizer={"name": "lion"}).disk < plain.disk
    assert plan(lr={"text_encoder": 0, "text_encoder_2": 0}).disk < plain.disk
    many = plan(save_every="1 steps", epochs=20)
    few = plan(save_every="1 steps", epochs=20, keep_last=2)
    assert few.disk < many.disk
