"""Which layers a recipe adapts, with which rank, and how fast they learn."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base
from lorasmith.errors import AdapterError, RecipeError
from lorasmith.recipe.recipe import Recipe
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.layers import LayerChoice
from lorasmith.training.steps.trainer import fresh_adapter, group_factors
from lorasmith.training.unpacking import unpack


def settings(**values: Any) -> RunSettings:
    return unpack(Recipe.model_validate({"epochs": 1, "rank": 4, "alpha": 2, "lr": {"unet": 1e-3}, **values}))


def test_blocks_have_ranks_of_their_own(tiny_base: Base) -> None:
    adapter = fresh_adapter(tiny_base, settings(blocks={"rank": {"IN": 2, "M00": 8, "OUT": 0}, "alpha": {"M": 3}}))
    by_block = {tiny_base.layers[name].block: (layer.rank, layer.alpha) for name, layer in adapter.layers.items()}
    assert by_block["TE"] == (4, 2)
    assert by_block["M00"] == (8, 3)
    assert {fit for block, fit in by_block.items() if block.startswith("IN")} == {(2, 2)}
    assert not any(block.startswith("OUT") for block in by_block)


def test_filters_are_globs_over_names(tiny_base: Base) -> None:
    adapter = fresh_adapter(tiny_base, settings(filter={"only": ["lora_unet*"], "skip": ["*_ff_*", "*proj*"]}))
    assert len(adapter.layers) > 5
    assert all("attn" in name and name.startswith("lora_unet") for name in adapter.layers)
    with pytest.raises(AdapterError, match="filters"):
        fresh_adapter(tiny_base, settings(filter={"only": ["nothing"]}))


def test_a_rate_of_0_leaves_a_part_alone(tiny_base: Base) -> None:
    adapter = fresh_adapter(tiny_base, settings(lr={"unet": 0, "text_encoder": 1e-4}))
    assert {tiny_base.layers[name].part for name in adapter.layers} == {"te"}
    none_in = fresh_adapter(tiny_base, settings(blocks={"lr": {"IN": 0}}))
    assert not any(tiny_base.layers[name].block.startswith("IN") for name in none_in.layers)


def test_groups_learn_at_their_rates(tiny_base: Base) -> None:
    values = settings(
        lr={"unet": 1e-3, "text_encoder": 1e-4, "plus_ratio": 16}, blocks={"lr": {"IN": 0.5, "OUT00": 0.25}}
    )
    bank = AdapterBank(tiny_base, [fresh_adapter(tiny_base, values)], trainable=True)
    rates, factors = group_factors(bank, 0, LayerChoice(tiny_base, values.layers))
    blocks = {tiny_base.layers[name].block for name, _, _ in bank.layer_adapters(0)}
    assert blocks >= {"IN01", "M00", "TE"}
    assert rates["text_encoder"] == pytest.approx(1e-4)
    assert rates["text_encoder up"] == pytest.approx(16e-4)
    assert rates["unet"] == pytest.approx(1e-3)
    assert rates["unet x0.5 up"] == pytest.approx(8e-3)
    assert sum(len(some) for some in factors.values()) == len(bank.factors("unet")) + len(bank.factors("te"))
    assert all(torch.equal(one, torch.zeros_like(one)) for one in factors["unet up"])


@pytest.mark.parametrize(
    ("curve", "first", "last"), [("cosine", 1, 0), ("sine", 0, 1), ("linear", 0, 1), ("reverse_linear", 1, 0)]
)
def test_curves_over_the_depth(tiny_base: Base, curve: str, first: float, last: float) -> None:
    choice = LayerChoice(tiny_base, settings(blocks={"lr": curve}).layers)
    flat = LayerChoice(tiny_base, settings().layers)
    names = [name for name, target in tiny_base.targets.items() if target.part == "unet"]
    by_block = {tiny_base.layers[name].block: choice.rate(name) / flat.rate(name) for name in names}
    ordered = [by_block[block] for block in sorted(by_block, key=lambda each: ("IMO".index(each[0]), each))]
    assert [ordered[0], ordered[-1]] == pytest.approx([first, last], abs=1e-9)
    middle = ordered[len(ordered) // 2]
    depth = (len(ordered) // 2) / (len(ordered) - 1)
    wanted = {"cosine": math.cos(math.pi / 2 * depth), "sine": math.sin(math.pi / 2 * depth), "linear": depth}
    assert middle == pytest.approx(wanted.get(curve, 1 - depth))


def test_unknown_blocks_are_named(tiny_base: Base) -> None:
    with pytest.raises(RecipeError, match="has no IN11"):
        LayerChoice(tiny_base, settings(blocks={"lr": {"IN11": 0.5}}).layers)
