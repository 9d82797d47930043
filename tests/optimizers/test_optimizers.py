"""Flat optimizers against the libraries' on separate parameters."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.optimization import Adafactor as TheirAdafactor

from lorasmith.errors import RecipeError
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.flat import FlatGroup, clip_gradients
from lorasmith.optimizers.optimizer import Optimizer

SHAPES = [(4, 6), (5, 4), (4, 6), (3, 2, 3, 3), (7,), (4, 6)]


def parameters(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def gradients(step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def groups_of(own: Sequence[nn.Parameter]) -> list[FlatGroup]:
    return [FlatGroup("unet", own[:4]), FlatGroup("text_encoder", own[4:])]


def made(name: str, groups: Sequence[FlatGroup], **options: Any) -> Optimizer:
    return OPTIMIZERS[name].make(groups, OPTIMIZERS[name].options(**options))


def rates(step: int, same: bool) -> tuple[float, float]:
    return (1.0, 1.0) if same else (0.01 * (step + 1), 0.002)


def run(optimizer: Optimizer, own: Sequence[nn.Parameter], steps: range, same: bool = False) -> None:
    for step in steps:
        for parameter, gradient in zip(own, gradients(step), strict=True):
            assert parameter.grad is not None
            parameter.grad.copy_(gradient)
        optimizer.step(dict(zip(("unet", "text_encoder"), rates(step, same), strict=True)))


class SlowLion(torch.optim.Optimizer):
    """Chen et al. 2023, algorithm 2, parameter by parameter."""

    def __init__(self, tables: Any) -> None:
        super().__init__(tables, {"lr": 0.0})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for table in self.param_groups:
            for parameter in table["params"]:
                m = self.state[parameter].setdefault("m", torch.zeros_like(parameter))
                update = (0.9 * m + 0.1 * parameter.grad).sign()
                parameter -= table["lr"] * (update + 0.1 * parameter)
                self.state[parameter]["m"] = 0.99 * m + 0.01 * parameter.grad


def theirs(kind: str, own: Sequence[nn.Parameter]) -> Any:
    tables = [{"params": list(own[:4])}, {"params": list(own[4:])}]
    if kind == "adamw":
        return torch.optim.AdamW(tables, lr=0.0, weight_decay=0.1)
    if kind == "lion":
        return SlowLion(tables)
    if kind == "prodigy":
        prodigy = pytest.importorskip("prodigyopt").Prodigy
        return prodigy(tables, lr=1.0, weight_decay=0.1, decouple=True, betas=(0.9, 0.99))
    if kind == "schedule_free":
        free = pytest.importorskip("schedulefree").AdamWScheduleFree(tables, lr=1.0, weight_decay=0.1, foreach=False)
        free.train()
        return free
    return TheirAdafactor(tables, lr=1e-3, scale_parameter=False, relative_step=False, warmup_init=False)


@pytest.mark.parametrize("name", ["adamw", "adafactor", "lion", "prodigy", "schedule_free"])
def test_same_steps_as_the_library(name: str) -> None:
    own, other = parameters(), parameters()
    library = theirs(name, other)
    run(made(name, groups_of(own), weight_decay=0.1), own, range(5), name == "prodigy")
    for step in range(5):
        for parameter, gradient in zip(other, gradients(step), strict=True):
            parameter.grad = gradient
        for table, rate in zip(library.param_groups, rates(step, name == "prodigy"), strict=True):
            table["lr"] = rate
        library.step()
    for mine, wanted in zip(own, other, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-5, atol=1e-6)


def test_relative_adafactor_has_its_own_rates() -> None:
    own, other = parameters(), parameters()
    run(made("adafactor", groups_of(own), weight_decay=0, relative=True), own, range(3))
    library = TheirAdafactor(other, scale_parameter=True, relative_step=True, warmup_init=False)
    for step in range(3):
        for parameter, gradient in zip(other, gradients(step), strict=True):
            parameter.grad = gradient
        library.step()
    for mine, wanted in zip(own, other, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-5, atol=1e-6)


def test_schedule_free_saves_the_average_and_goes_on_as_if_nothing_was() -> None:
    pytest.importorskip("schedulefree")
    own = parameters()
    groups = groups_of(own)
    optimizer = made("schedule_free", groups, weight_decay=0.0)
    run(optimizer, own, range(3))
    learning = [group.data.clone() for group in groups]
    with optimizer.settled():
        assert not torch.equal(groups[0].data, learning[0])
    assert all(torch.equal(group.data, data) for group, data in zip(groups, learning, strict=True))
    run(optimizer, own, range(3, 5))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prodigyopt", None)
    with pytest.raises(RecipeError, match=r"needs prodigyopt(.|\n)*lorasmith\[optim\]"):
        made("prodigy", groups_of(parameters()), weight_decay=0.0)


def test_a_library_says_nothing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("prodigyopt")
    made("prodigy", groups_of(parameters()), weight_decay=0.5)
    assert capsys.readouterr().out == ""


OPTIONAL = {"prodigy": "prodigyopt", "schedule_free": "schedulefree", "adamw8bit": "bitsandbytes"}


@pytest.mark.parametrize("name", ["adamw", "adafactor", "relative", "lion", *OPTIONAL])
def test_state_goes_on_bit_for_bit(name: str) -> None:
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    same, relative = name == "prodigy", name == "relative"
    name = "adafactor" if relative else name
    options = {"relative": True} if relative else {}
    own, resumed = parameters(), parameters()
    groups = groups_of(own)
    optimizer = made(name, groups, weight_decay=0.01, **options)
    run(optimizer, own, range(3), same)
    state = {key: tensor.clone() for key, tensor in optimizer.state().items()}
    flat = [group.data.clone() for group in groups]
    run(optimizer, own, range(3, 6), same)

    second_groups = groups_of(resumed)
    second = made(name, second_groups, weight_decay=0.01, **options)
    second.load(state)
    for group, data in zip(second_groups, flat, strict=True):
        group.data.copy_(data)
    run(second, resumed, range(3, 6), same)
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
