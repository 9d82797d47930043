"""The loss on held-out images along a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.adapters.files import read_header
from lorasmith.bases.base import Base
from lorasmith.events import Event, Validated, finish
from lorasmith.exam.nominees import held_out_losses
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train
from tests.projects import build_project, draw_apart

RECIPE = """
resolution = 64
bucket = { min = 32, max = 128, step = 32 }
batch_size = 2
rank = 4
alpha = 4
clip_skip = 1
epochs = 3
save_every = "100 steps"
lr = { unet = 1e-2, text_encoder = 1e-3 }
validation = { share = 0.25, every = "2 steps" }
preserve.kind = "none"
"""


def test_held_out_images_are_not_trained_and_their_loss_is_told(tmp_path: Path, tiny_base: Base) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base.folder), sizes=[(64, 64), (128, 32)] * 2)
    draw_apart(project.root / "images")
    events: list[Event] = []
    done = finish(train(project, read_recipe(project), base=tiny_base), events.append)
    told = [event for event in events if isinstance(event, Validated)]
    assert [event.step for event in told] == [2, 4, 6]
    assert len({event.base for event in told}) == 1
    assert told[0].base == pytest.approx(1, abs=0.5)
    assert told[0].loss != told[0].base
    assert len({event.loss for event in told}) == 3
    for event in told:  # one timestep a band, so that the mean of the bands is the loss
        assert event.bands is not None
        assert event.base_bands is not None
        assert list(event.bands) == list(event.base_bands) == ["0-249", "250-499", "500-749", "750-999"]
        assert sum(event.bands.values()) / 4 == pytest.approx(event.loss, abs=1e-6)
        assert sum(event.base_bands.values()) / 4 == pytest.approx(event.base, abs=1e-6)
    assert told[0].base_bands == told[2].base_bands
    assert told[0].bands != told[2].bands
    bands, own = told[1].bands or {}, told[1].base_bands or {}
    expected = sum(bands[name] / own[name] for name in bands) / 4
    assert held_out_losses(done.adapter.parent)[4] == pytest.approx(expected)
    facts = read_header(done.adapter).metadata
    assert (facts["ss_num_train_images"], facts["ss_num_validation_images"]) == ("3", "1")
    assert json.loads(facts["ss_dataset_dirs"])["images"]["img_count"] == 3
