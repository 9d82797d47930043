"""Every algorithm, stacked and with negative strengths: a picture of a mixed batch is the picture drawn alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.bases.base import Base
from lorasmith.events import finish
from lorasmith.generation import denoising
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from tests.adapters.drawing import state_of, trained_adapter

TOLERANCE = 1e-4


class DictShelf:
    """Adapters that lie in no file."""

    def __init__(self, adapters: list[Adapter]) -> None:
        self.adapters = {adapter.name: adapter for adapter in adapters}

    def get(self, name: str) -> Adapter:
        return self.adapters[name]

    def path(self, name: str) -> Path:
        return Path(name)


@pytest.fixture
def shelf(tiny_base: Base) -> DictShelf:
    adapters = []
    for seed, algorithm in enumerate(ALGORITHMS):
        adapter = trained_adapter(tiny_base, algorithm=algorithm, rank=2, conv_rank=2, seed=seed, size=0.05)
        adapters.append(replace(adapter, name=algorithm))
    return DictShelf(adapters)


def specs() -> list[PictureSpec]:
    """A picture for each algorithm, each stacked with the next one at a negative strength; and the bare base."""
    names = list(ALGORITHMS)
    tags = [f"<lora:{name}:0.8> <lora:{after}:-0.6>" for name, after in zip(names, [*names[1:], names[0]], strict=True)]
    return [PictureSpec(f"red {tag}", seed=seed, steps=2, sampler="Euler a") for seed, tag in enumerate(["", *tags])]


def pixels_of(pipeline: Pipeline, *wanted: PictureSpec) -> list[Tensor]:
    """What is drawn, before it is rounded to bytes."""
    kept: list[Tensor] = []

    def keep(pixels: Tensor) -> Image.Image:
        kept.append(pixels.clone())
        return Image.new("RGB", (64, 64))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(denoising, "to_image", keep)
        finish(pipeline.draw(wanted))
    return kept


def test_a_picture_of_a_mixed_batch_is_the_picture_alone(tiny_base: Base, shelf: DictShelf) -> None:
    before = state_of(tiny_base)
    wanted = specs()
    assert len(wanted) > 10
    together = pixels_of(Pipeline(tiny_base, shelf, batch_size=len(wanted)), *wanted)
    for spec, picture in zip(wanted, together, strict=True):
        (alone,) = pixels_of(Pipeline(tiny_base, shelf), spec)
        assert float((picture - alone).abs().max()) <= TOLERANCE, spec.prompt
    apart = [float((a - b).abs().max()) for index, a in enumerate(together) for b in together[:index]]
    assert min(apart) > 100 * TOLERANCE
    after = state_of(tiny_base)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_many_of_one_set_are_merged_and_equal(tiny_base: Base, shelf: DictShelf) -> None:
    """Eight pictures of one set run on merged weights; seven of them on the side path."""
    before = state_of(tiny_base)
    wanted = [PictureSpec("red <lora:lora:0.8> <lora:loha:-0.6>", seed=seed, steps=2) for seed in range(8)]
    pipeline = Pipeline(tiny_base, shelf)
    merged = pixels_of(pipeline, *wanted)
    side = pixels_of(pipeline, *wanted[:7])
    for ours, theirs in zip(merged, side, strict=False):
        torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)
    drawing = finish(pipeline.draw(wanted))[7].drawing
    assert drawing is not None
    assert (drawing.rows, drawing.place, drawing.merged) == (8, 7, True)
    after = state_of(tiny_base)
    assert all(torch.equal(before[name], after[name]) for name in before)
