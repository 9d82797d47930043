"""The way back through a layer, against autograd; and LoKr's two ways, which must agree."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lorasmith.adapters.algorithms.loha.factors import LohaFactors
from lorasmith.adapters.algorithms.lokr.factors import (
    LokrFactors,
    _is_lighter_in_pieces,
    _pull_from_pieces,
    _pull_from_whole,
)
from lorasmith.adapters.layers.factors import Fresh, LayerFactors
from lorasmith.adapters.layers.layer_gradients import LayerGradients
from lorasmith.adapters.layers.weights import _summed, apply_weight

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(24, 32), (2, 5, 24)),
    "pointwise": (lambda: nn.Conv2d(24, 32, 1), (2, 24, 6, 5)),
    "kernel": (lambda: nn.Conv2d(24, 32, 3, padding=1), (2, 24, 6, 5)),
    "stride": (lambda: nn.Conv2d(24, 32, 3, padding=1, stride=2), (2, 24, 6, 5)),
}


@pytest.fixture(params=LAYERS)
def layer_gradients(request: pytest.FixtureRequest) -> LayerGradients:
    torch.manual_seed(3)
    make, shape = LAYERS[request.param]
    layer = make().requires_grad_(False)
    x, weight = torch.randn(shape), layer.get_parameter("weight")
    return LayerGradients(layer, weight, torch.randn(layer(x).shape), x)


def test_gradients_of_input_and_weight(layer_gradients: LayerGradients) -> None:
    x, weight = layer_gradients.x.clone().requires_grad_(), layer_gradients.weight.clone().requires_grad_()
    y = apply_weight(layer_gradients.layer, x, weight, None)
    expected = torch.autograd.grad(y, [x, weight], layer_gradients.g)
    torch.testing.assert_close(layer_gradients.input_gradient(), expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer_gradients.weight_gradient(), expected[1], rtol=1e-4, atol=1e-4)


def test_lokr_in_pieces_is_lokr_from_the_whole(layer_gradients: LayerGradients) -> None:
    factors = LokrFactors.initial(layer_gradients.weight, Fresh(8, 8.0, torch.Generator().manual_seed(0)))
    w1, w2 = factors.first(), torch.randn(factors.second(layer_gradients.weight.shape[2:]).shape)
    for pieces, whole in zip(
        _pull_from_pieces(layer_gradients, w1, w2), _pull_from_whole(layer_gradients, w1, w2), strict=True
    ):
        torch.testing.assert_close(pieces.flatten(), whole.flatten(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("rows", "pieces"), [(8, True), (4096, False)])
def test_lokr_takes_the_lighter_way(rows: int, pieces: bool) -> None:
    layer = nn.Linear(64, 64).requires_grad_(False)
    x: Tensor = torch.zeros(rows, 64)
    layer_gradients = LayerGradients(layer, layer.weight, torch.zeros(rows, 64), x)
    assert _is_lighter_in_pieces(layer_gradients, torch.zeros(8, 8), torch.zeros(8, 8)) is pieces


@pytest.mark.parametrize("rows", [8, 4096], ids=["made again", "kept"])
@pytest.mark.parametrize("algorithm", [LohaFactors, LokrFactors])
def test_the_way_back_can_be_gone_twice(algorithm: type[LayerFactors], rows: int) -> None:
    layer = nn.Linear(64, 64).requires_grad_(False)

    factors = algorithm.initial(layer.weight, Fresh(8, 8.0, torch.Generator().manual_seed(0)))
    generator = torch.Generator().manual_seed(1)
    factors = factors.with_trained({k: torch.randn(v.shape, generator=generator) for k, v in factors.trained().items()})
    tensors = [tensor.requires_grad_() for tensor in factors.trained().values()]
    loss = _summed(layer, factors, 1.0, torch.randn(rows, 64, generator=generator), *tensors).square().sum()
    first = torch.autograd.grad(loss, tensors, retain_graph=True)
    for again, once in zip(torch.autograd.grad(loss, tensors), first, strict=True):
        torch.testing.assert_close(again, once)
