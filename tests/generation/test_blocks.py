"""Strengths that change over steps and blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families import FAMILIES
from lorasmith.errors import PromptError
from lorasmith.events import finish
from lorasmith.generation.blocks import split_by_blocks
from lorasmith.generation.pictures import Picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts.networks import BLOCK_COUNTS
from tests.adapters.drawing import trained_adapter


@pytest.fixture(scope="module")
def tiny_base(tiny_base_folder: Path) -> Base:
    """One for all tests here: drawing leaves no trace in it."""
    return load_base(tiny_base_folder)


def test_every_layout_counts_right() -> None:
    layouts = [layout for family in FAMILIES.values() for layout in family.block_layouts.items()]
    assert {count for count, _ in layouts} == BLOCK_COUNTS
    assert all(len(blocks) == count for count, blocks in layouts)


def test_layers_fall_to_their_blocks(tiny_base: Base) -> None:
    adapter = trained_adapter(tiny_base, conv_rank=2, norms=True)
    weights = tuple(float(number) for number in range(26))
    parts = split_by_blocks(adapter, weights, tiny_base)
    where = {name: weight for weight, part in parts.items() for name in part.layers}
    # The text encoders have weight 0 here and are left out.
    assert set(where) == {name for name in adapter.layers if name.startswith("lora_unet")}
    expected = {
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q": 1.0 + 1,
        "lora_unet_down_blocks_0_downsamplers_0_conv": 1.0 + 2,
        "lora_unet_down_blocks_1_resnets_0_conv1": 1.0 + 3,
        "lora_unet_mid_block_attentions_0_proj_in": 13.0,
        "lora_unet_up_blocks_0_resnets_0_conv1": 14.0,
        "lora_unet_up_blocks_1_attentions_1_proj_out": 14.0 + 3,
        "lora_unet_up_blocks_1_attentions_1_norm": 14.0 + 3,
        "lora_unet_conv_norm_out": 14.0 + 11,
    }
    assert {name: where[name] for name in expected} == expected


def test_seventeen_weights_reach_the_nearest_block(tiny_base: Base) -> None:
    adapter = trained_adapter(tiny_base)
    parts = split_by_blocks(adapter, (1.0,) * 7 + (0.5,) + (0.25,) * 9, tiny_base)
    assert {weight: {name.split("_")[2] for name in part.layers} for weight, part in parts.items()} == {
        1.0: {"text", "down"},
        0.5: {"mid"},
        0.25: {"up"},
    }


def test_layouts_belong_to_families(tiny_base: Base, family_folders: dict[str, Path]) -> None:
    adapter = trained_adapter(tiny_base)
    with pytest.raises(PromptError, match="12 block weights are not for this base"):
        split_by_blocks(adapter, (1.0,) * 12, tiny_base)
    xl = load_base(family_folders["sdxl"])
    own = trained_adapter(xl)
    (part,) = split_by_blocks(own, (1.0,) * 12, xl).values()
    assert set(part.layers) == set(own.layers)


@pytest.fixture
def pipeline(tmp_path: Path, tiny_base: Base) -> Pipeline:
    save_adapter(tmp_path / "a.safetensors", trained_adapter(tiny_base, rank=2, size=0.3), torch.float32)
    return Pipeline(tiny_base, AdapterCache([tmp_path]))


def draw(pipeline: Pipeline, *tags: str, steps: int = 4) -> list[Picture]:
    return finish(pipeline.draw([PictureSpec(f"red {tag}", steps=steps, seed=1) for tag in tags]))


def distance(a: Picture, b: Picture) -> int:
    return int(np.abs(np.asarray(a.image, int) - np.asarray(b.image, int)).max())


def test_steps_have_the_strengths_that_the_tag_says(pipeline: Pipeline) -> None:
    full, window, curve, early, none, flat = draw(
        pipeline,
        "<lora:a:0:1>",
        "<lora:a:0:1:start=0:end=4>",
        "<lora:a:te=0:unet=1@0,1@4>",
        "<lora:a:0:1:end=2>",
        "",
        "<lora:a:te=0:unet=0@0,1@3>",
    )
    assert distance(full, window) <= 1
    assert distance(full, curve) <= 1
    assert distance(full, early) > 1 < distance(early, none)
    assert distance(flat, none) > 1 < distance(flat, full)


def test_a_window_is_the_adapter_in_those_steps_only(pipeline: Pipeline) -> None:
    (early,) = draw(pipeline, "<lora:a:0:0.8:end=2>", steps=4)
    preparer = pipeline.preparer
    job = preparer.prepare(PictureSpec("red <lora:a:0:0.8:end=2>", steps=4, seed=1))
    (strengths,) = preparer.guide(job, preparer.adapter_set([job]))[0].strengths.values()
    assert strengths == (0.8, 0.8, 0.0, 0.0)
    assert early.networks[0].network.end is not None


def test_blocks_have_the_strengths_that_the_tag_says(pipeline: Pipeline) -> None:
    ones = ",".join(["1"] * 17)
    whole, same, halved, half, outs, none = draw(
        pipeline,
        "<lora:a:1>",
        f"<lora:a:1:lbw={ones}>",
        f"<lora:a:1:lbw={ones.replace('1', '0.5')}>",
        "<lora:a:0.5>",
        "<lora:a:1:lbw=OUTALL>",
        "<lora:a:1:lbw=NONE>",
    )
    assert distance(whole, same) <= 1
    assert distance(halved, half) <= 1
    (bare,) = draw(pipeline, "")
    assert distance(none, bare) <= 1
    assert distance(outs, whole) > 1 < distance(outs, bare)
