"""1x1 convolutions that multiply: the same as the library's, and where they take its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lorasmith.bases.base import load_base
from lorasmith.bases.pointwise import Pointwise, is_pointwise, is_quicker, multiply_pointwise

X = torch.randn(3, 8, 6, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[True, False], ids=["bias", "no-bias"])
def layer(request: pytest.FixtureRequest) -> nn.Conv2d:
    torch.manual_seed(1)
    return nn.Conv2d(8, 12, 1, bias=request.param).requires_grad_(False)


def test_a_product_is_the_convolution_forward_and_backward(layer: nn.Conv2d) -> None:
    def run() -> tuple[Tensor, Tensor]:
        x = X.clone().requires_grad_()
        y = layer(x)
        return y, torch.autograd.grad(y.square().sum(), x)[0]

    expected = run()
    multiply_pointwise(nn.Sequential(layer))
    assert type(layer) is Pointwise
    for ours, theirs in zip(run(), expected, strict=True):
        assert ours.is_contiguous()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "x", [X.to(memory_format=torch.channels_last), X.bfloat16()], ids=["channels last", "half precision"]
)
def test_elsewhere_the_library_convolves(layer: nn.Conv2d, x: Tensor) -> None:
    layer = layer.to(x.dtype)
    expected = layer(x)
    multiply_pointwise(nn.Sequential(layer))
    assert not is_quicker(x)
    assert torch.equal(layer(x), expected)


def test_what_is_no_product_is_left_alone(tiny_base_folder: Path) -> None:
    others = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1, stride=2), nn.Conv2d(4, 4, 1, padding=1), nn.Linear(4, 4)
    )
    multiply_pointwise(others)
    assert not any(isinstance(each, Pointwise) or is_pointwise(each) for each in others)
    denoiser = load_base(tiny_base_folder).denoiser
    kinds = {type(each) for each in denoiser.modules() if isinstance(each, nn.Conv2d) and each.kernel_size == (1, 1)}
    assert kinds == {Pointwise}
