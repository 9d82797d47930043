"""Rows to preserve: which captions they have."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from lorasmith.bases.base import Base
from lorasmith.bases.framing import frame_in_bucket, frame_whole
from lorasmith.bases.text.options import PLAIN_TEXT
from lorasmith.events import finish
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.inputs.preservation import leave_blank
from lorasmith.training.inputs.prior import draw_prior
from lorasmith.training.inputs.reading import read_inputs
from lorasmith.training.preparation import make_rows
from lorasmith.training.rows.batches import Batch, Visit
from lorasmith.training.unpacking import unpack
from tests.projects import build_project


def test_so_many_preserved_rows_are_blank_as_the_share_says() -> None:
    keys = [(42, epoch, f"{number}.png", 0) for epoch in range(40) for number in range(50)]
    for share in (0.0, 0.25, 1.0):
        blank = [leave_blank(share, *key) for key in keys]
        assert abs(sum(blank) / len(blank) - share) < 0.03
        assert blank == [leave_blank(share, *key) for key in keys]


RECIPE = """
resolution = 64
bucket = { min = 64, max = 128, step = 64 }
batch_size = 2
rank = 2
alpha = 1
clip_skip = 1
epochs = 1
save_every = "1 epoch"
optimizer.name = "adamw"
"""


@pytest.mark.parametrize("kind", ["differential", "prior", "both"])
def test_blank_rows_are_preserved_with_the_empty_caption(
    kind: str, tmp_path: Path, tiny_base_folder: Path, tiny_base: Base
) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))
    captions = {}
    for blank in ("0.0", "1.0"):
        recipe = read_recipe(
            project,
            {"preserve.kind": f'"{kind}"', "preserve.blank": blank, "preserve.share": "1.0", "preserve.pictures": "2"},
        )
        (inputs,) = finish(read_inputs(project, [recipe]))
        rows = finish(make_rows(project, unpack(recipe), inputs, tiny_base, Conditioner(tiny_base, PLAIN_TEXT)))
        batch = Batch(inputs.images[0].bucket, (Visit(inputs.images[0], 0), Visit(inputs.images[0], 1)))
        preserved = rows.read(batch, 0).preserved
        assert preserved is not None
        captions[blank] = preserved.captions
    assert captions["1.0"] == ("", "")
    assert all(captions["0.0"])


def test_pictures_that_the_base_drew_are_kept(tmp_path: Path, tiny_base: Base) -> None:
    made: list[object] = []
    first = finish(draw_prior(tiny_base, ["red", "blue"], [(64, 64)], 3, 2, 1, tmp_path), made.append)
    assert made
    assert first.prompts == {(64, 64): ("red", "blue", "red")}
    again: list[object] = []
    second = finish(draw_prior(tiny_base, ["red", "blue"], [(64, 64)], 3, 2, 1, tmp_path), again.append)
    assert not again
    assert torch.equal(first.latents[(64, 64)], second.latents[(64, 64)])
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"torn")
    third = finish(draw_prior(tiny_base, ["red", "blue"], [(64, 64)], 3, 2, 1, tmp_path))
    assert torch.equal(first.latents[(64, 64)], third.latents[(64, 64)])


def test_variants_of_a_sweep_share_what_the_base_drew(tmp_path: Path, tiny_base_folder: Path, tiny_base: Base) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))
    overrides = {"preserve.kind": '"prior"', "preserve.pictures": "2", "preserve.steps": "2"}
    drawn: list[bool] = []
    for more in ({"lr.unet": "1e-3"}, {"lr.unet": "2e-3", "rank": "4"}, {"preserve.steps": "3"}):
        recipe = read_recipe(project, overrides | more)
        (inputs,) = finish(read_inputs(project, [recipe]))
        events: list[object] = []
        finish(make_rows(project, unpack(recipe), inputs, tiny_base, Conditioner(tiny_base, PLAIN_TEXT)), events.append)
        drawn.append(any("latents" not in str(event) for event in events))
    assert drawn == [True, False, True]


@pytest.mark.parametrize("kind", ["differential", "prior", "both"])
def test_rows_carry_what_sdxl_is_told_of_their_pictures(
    kind: str, tmp_path: Path, tiny_base_folder: Path, tiny_base: Base
) -> None:
    """A picture of 96 x 160 in a bucket of 64 x 128 is told as it was; one that the base drew, as it is."""
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))
    for file in (project.root / "images").rglob("*.png"):
        Image.open(file).resize((96, 200)).save(file)
    recipe = read_recipe(
        project,
        {"preserve.kind": f'"{kind}"', "preserve.share": "0.5", "preserve.pictures": "2", "flip": "true"},
    )
    (inputs,) = finish(read_inputs(project, [recipe]))
    rows = finish(make_rows(project, unpack(recipe), inputs, tiny_base, Conditioner(tiny_base, PLAIN_TEXT)))
    bucket = inputs.plan.images[0].bucket
    batch = Batch(bucket, tuple(Visit(inputs.images[0], visit) for visit in range(16)))
    micro = rows.read(batch, 0)
    plain, mirrored = (frame_in_bucket((96, 200), bucket, flipped=flipped) for flipped in (False, True))
    assert bucket == (64, 64)
    assert plain.time_ids == (200, 96, 0, 16, 64, 64)
    assert mirrored.time_ids == (200, 96, 0, 17, 64, 64)
    assert set(micro.learned.framings) == {plain, mirrored}
    assert len(micro.learned.framings) == 16
    assert micro.preserved is not None
    own = {"differential": 8, "prior": 0, "both": 4}[kind]
    assert micro.preserved.framings == (*micro.learned.framings[:own], *(frame_whole(bucket),) * (8 - own))
    part = micro.part(1, 2)
    assert part is not None
    assert part.learned.framings == micro.learned.framings[1::2]


def test_both_preserves_own_pictures_without_the_trigger_and_those_of_the_base(
    tmp_path: Path, tiny_base_folder: Path, tiny_base: Base
) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))
    table = {"kind": '"both"', "blank": "0.0", "share": "1.0", "pictures": "2", "steps": "2", "prompts": '["a house"]'}
    recipe = read_recipe(project, {f"preserve.{key}": value for key, value in table.items()})
    (inputs,) = finish(read_inputs(project, [recipe]))
    rows = finish(make_rows(project, unpack(recipe), inputs, tiny_base, Conditioner(tiny_base, PLAIN_TEXT)))
    batch = Batch(inputs.plan.images[0].bucket, tuple(Visit(inputs.images[0], visit) for visit in range(3)))
    read = rows.read(batch, 0)
    assert read.preserved is not None
    own, other = read.preserved.part(0, 1), read.learned
    assert own is not None
    assert torch.equal(own.x_0[:2], other.x_0[:2])
    assert torch.equal(own.noise[:2], other.noise[:2])
    assert not torch.equal(own.x_0[2], other.x_0[2])
    assert own.captions[2] == "a house"
    assert "a house" not in own.captions[:2]
    assert len(set(own.seeds)) == 3
