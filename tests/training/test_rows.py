"""Rows to preserve: which captions they have."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.bases.base import Base
from lorasmith.events import finish
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.batches import Batch, Visit
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.material import gather_material, make_rows
from lorasmith.training.pictures import draw_prior
from lorasmith.training.preservation import leave_blank
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


@pytest.mark.parametrize("kind", ["differential", "prior"])
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
        (material,) = finish(gather_material(project, [recipe]))
        rows = finish(make_rows(project, recipe, material, tiny_base, Conditioner(tiny_base, 1)))
        batch = Batch(material.plan.images[0].bucket, (Visit(0, 0), Visit(0, 1)))
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
