"""Banks by their members, and merged weights that leave no trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.merged import Merged
from lorasmith.bases.base import Base
from lorasmith.generation.adapter_sets import AdapterSet, BankCache, Member, gather, identify
from tests.adapters.drawing import trained_adapter
from tests.adapters.toy import draw, toy_base

A, B = Member("a", None, 0), Member("b", None, 1)


def toy_adapters(base: Base) -> dict[Member, Adapter]:
    return {A: trained_adapter(base, "a", seed=1), B: trained_adapter(base, "b", algorithm="loha", seed=2)}


def test_a_thousand_switches_leave_the_base_as_it_was() -> None:
    base = toy_base()
    before = {name: tensor.clone() for name, tensor in base.denoiser.state_dict().items()}
    bare = draw(base)
    adapter_set = AdapterSet(base, toy_adapters(base))
    for turn in range(500):
        strengths = {A: 1.0 - turn % 3, B: 0.5 * (turn % 2)}
        with adapter_set.merged(strengths), adapter_set.acting([strengths] * 4):
            pass
        with adapter_set.acting([{A: 1.0}, {B: -1.0}, {}, {A: 0.5, B: 2.0}]):
            pass
    assert all(torch.equal(before[name], tensor) for name, tensor in base.denoiser.state_dict().items())
    assert torch.equal(draw(base), bare)


def test_merged_is_the_side_path_up_to_rounding_and_only_for_its_own_strengths() -> None:
    base = toy_base()
    adapter_set = AdapterSet(base, toy_adapters(base))
    strengths, other = {A: 0.7, B: -1.2}, {A: 0.2}
    with adapter_set.acting([strengths] * 4):
        side = draw(base)
    with adapter_set.acting([other] * 4):
        apart = draw(base)
    with adapter_set.merged(strengths):
        assert torch.equal(draw(base), draw(toy_base()))
        with adapter_set.acting([strengths] * 4):
            merged = draw(base)
        with adapter_set.acting([other] * 4):
            torch.testing.assert_close(draw(base), apart, atol=0, rtol=0)
    torch.testing.assert_close(merged, side, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(side, apart, atol=1e-2)


@pytest.mark.parametrize(("size", "fits"), [(0.3, True), (1e-3, False)])
def test_weights_that_would_round_the_adapter_away_are_not_merged(size: float, fits: bool) -> None:
    base = toy_base()
    base.denoiser.to(torch.bfloat16)
    adapter = trained_adapter(base, "a", size=size)
    adapter_set = AdapterSet(base, {A: adapter})
    assert adapter_set.can_merge({A: 1.0}) is fits
    assert adapter_set.can_merge({A: 1.0}) is fits
    assert adapter_set.bank is not None
    merged = adapter_set.bank.merge(torch.ones(1))
    lost = wanted = 0.0
    for name, weight, value in _by_name(base, merged):
        change = adapter.layers[name].delta_weight(weight.float())
        lost += float((weight.float() + change - value.float()).square().sum())
        wanted += float(change.square().sum())
    assert merged.loss == pytest.approx((lost / wanted) ** 0.5, rel=1e-3)
    base.denoiser.float()
    assert AdapterSet(base, {A: adapter}).can_merge({A: 1.0})


def _by_name(base: Base, merged: Merged) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """The layer's name, its weight as it is, and as it is to be."""
    names = {id(base.module(name).weight): name for name in base.targets}
    for place, value in merged.weights:
        yield names[id(place)], cast(torch.Tensor, place), value


def test_a_bank_with_more_members_serves_fewer_and_old_ones_go() -> None:
    base = toy_base()
    adapters = toy_adapters(base)
    kept = BankCache(base)
    both = kept.get(adapters)
    assert kept.get({A: adapters[A]}) is both
    small = BankCache(base, capacity=1)
    first = small.get({A: adapters[A]})
    assert small.get({A: adapters[A]}) is first
    small.get({B: adapters[B]})
    assert small.get({A: adapters[A]}) is not first
    assert small.bytes == adapters[A].bytes


def test_a_new_bank_takes_in_who_may_be_wanted_soon_and_only_the_last_one_keeps_merged_weights() -> None:
    base = toy_base()
    adapters = toy_adapters(base)
    kept = BankCache(base)
    narrow = kept.get({A: adapters[A]})
    with narrow.acting([{A: 1.0}] * 4):
        alone = draw(base)
    wide = kept.get({B: adapters[B]}, also=adapters)
    assert wide is not narrow
    assert kept.get({A: adapters[A]}) is kept.get({B: adapters[B]}) is wide
    with wide.acting([{A: 1.0}] * 4):
        torch.testing.assert_close(draw(base), alone, atol=1e-5, rtol=1e-4)
    assert wide.bytes_merged > 0
    other = Member("c", None, 2)
    kept.get({other: adapters[A]})
    assert wide.bytes_merged == 0


def test_rows_that_stay_keep_their_merged_weights_in_a_new_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    base = toy_base()
    members = {
        Member(name, None, number): trained_adapter(base, name, seed=number) for number, name in enumerate("abc")
    }
    first, second, third = members
    added: list[int] = []
    add_to = LoraFactors.add_to

    def counted(self: LoraFactors, total: torch.Tensor, weight: torch.Tensor, strength: float) -> None:
        added.append(1)
        add_to(self, total, weight, strength)

    monkeypatch.setattr(LoraFactors, "add_to", counted)
    kept = BankCache(base)
    rows = [{first: 0.5}, {first: 0.5}, {second: 1.0}, {second: 1.0}]
    changed = [*rows[:2], {third: -0.7, first: 0.1}, {third: -0.7, first: 0.1}]
    costs = []
    with torch.inference_mode():
        for wanted, acting in (((first, second), rows), ((first, third), changed), ((first, third), rows[:2] * 2)):
            added.clear()
            with kept.get({member: members[member] for member in wanted}).acting(acting):
                drawn = draw(base)
            costs.append(len(added))
            with AdapterSet(base, members).acting(acting):
                assert torch.equal(draw(base), drawn)
    layers = costs[0] // 2
    assert costs[1] == 2 * layers  # two adapters in the one block that is another
    assert costs[2] == layers  # all rows alike: one block, made anew


def test_banks_share_the_factors_of_an_adapter() -> None:
    base = toy_base()
    adapters = toy_adapters(base)
    wide, narrow = AdapterSet(base, adapters), AdapterSet(base, {A: adapters[A]})
    assert wide.bank is not None
    assert narrow.bank is not None
    for name, (stack,) in narrow.bank.layers.items():
        (own,) = [each for each in wide.bank.layers[name] if type(each) is type(stack)]
        assert all(own.tensor(0, field) is stack.tensor(0, field) for field in stack.factors(0).trained())


def test_columns_have_one_order_and_adapters_one_number() -> None:
    base = toy_base()
    adapters = toy_adapters(base)
    turned = dict(reversed(adapters.items()))
    assert AdapterSet(base, adapters).columns == AdapterSet(base, turned).columns
    first, second = adapters.values()
    assert identify(first) == identify(first) != identify(second)
    assert gather([(A, 0.5), (B, 1.0), (A, 0.25)]) == {A: 0.75, B: 1.0}
