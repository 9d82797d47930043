"""Families as objects: what each says of itself, and that another one can come from outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.describe import describe_base
from lorasmith.bases.families import FAMILIES, UNKNOWN, find_family
from lorasmith.bases.families.family import Family
from lorasmith.errors import BaseError
from lorasmith.project import EMBEDDED


def test_families_are_found_by_name() -> None:
    assert {"sd1", "sd2", "sdxl", "doodle"} <= set(FAMILIES)
    assert [find_family(name) for name in FAMILIES] == list(FAMILIES.values())
    with pytest.raises(BaseError, match='Did you mean "sdxl"'):
        find_family("sdxxl")
    with pytest.raises(ValueError, match="there is a family sd1 already"):
        FAMILIES.register(UNKNOWN)


@pytest.mark.parametrize("family", list(FAMILIES.values()), ids=str)
def test_every_family_is_whole(family: Family) -> None:
    layers = family.public_layers()
    assert len(layers) > 50
    assert {target.owner for target in layers.values()} == {family.denoiser_part, *(part.owner for part in family.text)}
    assert all(target.block == "TE" for target in layers.values() if target.part == "te")
    blocks = {target.block for target in layers.values() if target.part == "unet"}
    for count, listed in family.block_layouts.items():
        assert len(listed) == count
        assert listed[0] == "BASE"
    assert ({"M00", "IN01", "OUT00"} if family.denoiser_part == "unet" else {"B00", "B01"}) <= blocks
    assert family.header_facts().version
    assert family.cfg > 0
    assert family.folders[0] == family.denoiser_part


def test_blocks_are_those_of_stability_s_numbers() -> None:
    sd1, sdxl = (find_family(name).public_layers() for name in ("sd1", "sdxl"))
    for name, block in (
        ("lora_unet_down_blocks_0_attentions_1_proj_in", "IN02"),
        ("lora_unet_down_blocks_2_downsamplers_0_conv", "IN09"),
        ("lora_unet_up_blocks_3_resnets_2_conv1", "OUT11"),
        ("lora_unet_up_blocks_0_upsamplers_0_conv", "OUT02"),
        ("lora_unet_mid_block_attentions_0_norm", "M00"),
        ("lora_unet_conv_norm_out", "BASE"),
    ):
        assert sd1[name].block == block
    assert {target.block for name, target in sdxl.items() if name.startswith("lora_unet_input_blocks_4_")} == {"IN04"}
    assert {target.block for name, target in sdxl.items() if name.startswith("lora_unet_output_blocks_8_")} == {"OUT08"}


def test_the_embedded_base_is_what_its_family_says() -> None:
    family, base = find_family(EMBEDDED), load_base(EMBEDDED)
    assert base.family is family
    assert family.public_layers() == base.layers
    assert base.resolution == family.resolution
    assert describe_base(EMBEDDED)["family"] == EMBEDDED


@pytest.fixture
def outsider() -> Iterator[Family]:
    """A family from outside is asked before all others."""
    family = FAMILIES.register(replace(find_family("sd1"), name="outsider", title="Outsider"))
    yield family
    FAMILIES.remove(family)


def test_a_family_comes_from_outside(outsider: Family, tiny_base_folder: Path) -> None:
    base: Base = load_base(tiny_base_folder)
    assert base.family is outsider
    assert describe_base(str(tiny_base_folder))["family"] == "outsider"
