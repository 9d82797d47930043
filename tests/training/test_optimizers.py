"""Flat optimizers against the libraries' on separate parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.optimization import Adafactor as TheirAdafactor

from lorasmith.training.optimizers import FlatGroup, Optimizer, build_optimizer, clip_gradients

SHAPES = [(4, 6), (5, 4), (4, 6), (3, 2, 3, 3), (7,), (4, 6)]


def parameters(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def gradients(step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def groups_of(own: Sequence[nn.Parameter]) -> list[FlatGroup]:
    return [FlatGroup("unet", own[:4]), FlatGroup("text_encoder", own[4:])]


def run(optimizer: Optimizer, own: Sequence[nn.Parameter], steps: range) -> None:
    for step in steps:
        for parameter, gradient in zip(own, gradients(step), strict=True):
            assert parameter.grad is not None
            parameter.grad.copy_(gradient)
        optimizer.step({"unet": 0.01 * (step + 1), "text_encoder": 0.002})


def theirs(kind: str, own: Sequence[nn.Parameter]) -> Any:
    tables = [{"params": list(own[:4])}, {"params": list(own[4:])}]
    if kind == "adamw":
        return torch.optim.AdamW(tables, lr=0.0, weight_decay=0.1)
    return TheirAdafactor(tables, lr=1e-3, scale_parameter=False, relative_step=False, warmup_init=False)


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_same_steps_as_the_library(name: str) -> None:
    own, other = parameters(), parameters()
    run(build_optimizer(name, groups_of(own), weight_decay=0.1), own, range(5))
    library = theirs(name, other)
    for step in range(5):
        for parameter, gradient in zip(other, gradients(step), strict=True):
            parameter.grad = gradient
        library.param_groups[0]["lr"], library.param_groups[1]["lr"] = 0.01 * (step + 1), 0.002
        library.step()
    for mine, wanted in zip(own, other, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_state_goes_on_bit_for_bit(name: str) -> None:
    own, resumed = parameters(), parameters()
    groups = groups_of(own)
    optimizer = build_optimizer(name, groups, weight_decay=0.01)
    run(optimizer, own, range(3))
    state = {key: tensor.clone() for key, tensor in optimizer.state().items()}
    flat = [group.data.clone() for group in groups]
    run(optimizer, own, range(3, 6))

    second_groups = groups_of(resumed)
    second = build_optimizer(name, second_groups, weight_decay=0.01)
    second.load(state)
    for group, data in zip(second_groups, flat, strict=True):
        group.data.copy_(data)
    run(second, resumed, range(3, 6))
    assert all(torch.equal(mine, wanted) for mine, wanted in zip(resumed, own, strict=True))


def test_parameters_are_views_and_gradients_accumulate_in_place() -> None:
    own = parameters()
    before = [parameter.detach().clone() for parameter in own]
    group = FlatGroup("unet", own)
    assert all(torch.equal(parameter, old) for parameter, old in zip(own, before, strict=True))
    for _ in range(2):
        sum(parameter.square().sum() for parameter in own).backward()  # type: ignore[union-attr]
    for parameter, old in zip(own, before, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, 4 * old)
    assert group.grad.abs().sum().item() == pytest.approx(sum(4 * old.abs().sum().item() for old in before), rel=1e-5)
    group.data.zero_()
    assert all(not parameter.any() for parameter in own)


def test_clipping_is_common_to_all_groups() -> None:
    own = parameters()
    groups = groups_of(own)
    for parameter, gradient in zip(own, gradients(0), strict=True):
        assert parameter.grad is not None
        parameter.grad.copy_(gradient)
    expected = torch.cat([gradient.flatten() for gradient in gradients(0)]).norm()
    torch.testing.assert_close(clip_gradients(groups, 0.0), expected)
    torch.testing.assert_close(clip_gradients(groups, 1.0), expected)
    torch.testing.assert_close(clip_gradients(groups, 1.0), torch.tensor(1.0), rtol=1e-4, atol=0)
