"""Norms of changes, against the changes themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.training.steps.weight_norm import bound_norms

SHAPES = [((6, 5), (3, 5), (6, 3)), ((6, 4, 3, 3), (2, 4, 3, 3), (6, 2, 1, 1))]


def made(index: int) -> tuple[nn.Module, LoraFactors]:
    weight, down, up = SHAPES[index]
    generator = torch.Generator().manual_seed(index)
    layer = nn.Linear(weight[1], weight[0]) if len(weight) == 2 else nn.Conv2d(weight[1], weight[0], 3)
    return layer, LoraFactors(torch.randn(down, generator=generator), torch.randn(up, generator=generator), 1.5)


@pytest.mark.parametrize("index", [0, 1])
def test_norm_without_the_change(index: int) -> None:
    layer, factors = made(index)
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    expected = factors.delta_weight(weight).square().sum()
    torch.testing.assert_close(factors.squared_norm(weight), expected)


@pytest.mark.parametrize("index", [0, 1])
def test_bound_is_reached_by_both_factors_alike(index: int) -> None:
    layer, factors = made(index)
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    before, down = float(factors.squared_norm(weight).sqrt()), factors.down.clone()
    assert bound_norms([(weight, factors)], 2 * before) == 0
    assert torch.equal(factors.down, down)
    assert bound_norms([(weight, factors)], before / 4) == 1
    assert float(factors.squared_norm(weight).sqrt()) == pytest.approx(before / 4, rel=1e-4)
    torch.testing.assert_close(factors.down, down / 2)
