"""What every registered algorithm must do, with and without convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, read_tensors, save_adapter
from lorasmith.bases.base import Base
from tests.adapters.drawing import ROWS, draw, state_of, trained_adapter

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


def test_there_are_algorithms() -> None:
    assert "lora" in ALGORITHMS
    assert all(name == factors.algorithm for name, factors in ALGORITHMS.items())


@pytest.fixture(params=sorted(ALGORITHMS))
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[0, 3], ids=["linear", "conv"])
def adapter(request: pytest.FixtureRequest, algorithm: str, tiny_base: Base) -> Adapter:
    return trained_adapter(tiny_base, algorithm=algorithm, conv_rank=request.param)


@pytest.fixture
def untouched(tiny_base: Base) -> Iterator[None]:
    """Checks that a test leaves every weight and every layer as it was."""
    before = state_of(tiny_base)
    yield
    after = state_of(tiny_base)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    parts = (tiny_base.denoiser, *(encoder.model for encoder in tiny_base.text_encoders))
    assert not [name for part in parts for name, module in part.named_modules() if "forward" in vars(module)]


def test_new_factors_have_no_effect(tiny_base: Base, algorithm: str) -> None:
    fresh = new_adapter(
        tiny_base,
        name="new",
        algorithm=algorithm,
        rank=4,
        alpha=4,
        conv_rank=2,
        text_encoder=True,
        generator=torch.Generator().manual_seed(0),
    )
    assert len(fresh.layers) == len(tiny_base.targets)
    bare = draw(tiny_base)
    with AdapterBank(tiny_base, [fresh]).attached():
        assert torch.equal(draw(tiny_base), bare)


@pytest.mark.usefixtures("untouched")
def test_detaching_restores_bit_for_bit(tiny_base: Base, adapter: Adapter) -> None:
    bare = draw(tiny_base)
    bank = AdapterBank(tiny_base, [adapter])
    with bank.attached():
        assert not torch.allclose(draw(tiny_base), bare, atol=1e-3)
    assert torch.equal(draw(tiny_base), bare)
    with bank.merged(torch.ones(1)):
        assert not torch.allclose(draw(tiny_base), bare, atol=1e-3)
    assert torch.equal(draw(tiny_base), bare)


@pytest.mark.usefixtures("untouched")
def test_an_exception_leaves_no_trace(tiny_base: Base, adapter: Adapter) -> None:
    bare = draw(tiny_base)
    bank = AdapterBank(tiny_base, [adapter])
    for active in (bank.attached(), bank.merged(torch.ones(1))):
        with pytest.raises(KeyboardInterrupt), active:
            raise KeyboardInterrupt
    assert torch.equal(draw(tiny_base), bare)


@pytest.mark.parametrize("strength", [1.0, 0.7, -0.4])
def test_side_path_merge_and_delta_weight_agree(tiny_base: Base, adapter: Adapter, strength: float) -> None:
    bank = AdapterBank(tiny_base, [adapter])
    bank.weigh(torch.tensor([[strength]]))
    with bank.attached():
        beside = draw(tiny_base)
    with bank.merged(torch.tensor([strength])):
        merged = draw(tiny_base)
    torch.testing.assert_close(merged, beside, **CLOSE)
    for name, factors in adapter.layers.items():
        layer = tiny_base.module(name)
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        layer.weight.data = layer.weight.data + strength * factors.delta_weight(layer.weight)
    torch.testing.assert_close(draw(tiny_base), beside, **CLOSE)


def test_every_layer_has_an_effect_of_its_own(tiny_base: Base, adapter: Adapter) -> None:
    assert len(adapter.layers) > 30
    for name, factors in adapter.layers.items():
        layer = tiny_base.module(name)
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        x = (
            torch.randn(2, 5, layer.in_features)
            if isinstance(layer, nn.Linear)
            else torch.randn(2, layer.in_channels, 8, 8)
        )
        with torch.no_grad():
            bare = layer(x)
            with AdapterBank(tiny_base, [replace(adapter, layers={name: factors})]).attached():
                assert not torch.allclose(layer(x), bare, atol=1e-4), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_files_keep_everything(tmp_path: Path, tiny_base: Base, adapter: Adapter, dtype: torch.dtype) -> None:
    path = save_adapter(tmp_path / "a.safetensors", adapter, dtype)
    loaded = load_adapter(path)
    assert loaded.layers.keys() == adapter.layers.keys()
    written = sum(len(factors.to_tensors()) for factors in adapter.layers.values())
    assert len(read_tensors(path)) == written
    for name, factors in adapter.layers.items():
        assert type(loaded.layers[name]) is type(factors)
        for suffix, tensor in factors.to_tensors().items():
            assert torch.equal(loaded.layers[name].to_tensors()[suffix], tensor.to(dtype).float()), (name, suffix)
    outputs = []
    for each in (adapter, loaded):
        with AdapterBank(tiny_base, [each]).attached():
            outputs.append(draw(tiny_base))
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=1e-6 if dtype == torch.float32 else 2e-2)


def test_alpha_is_honoured(tiny_base: Base, algorithm: str) -> None:
    adapter = trained_adapter(tiny_base, algorithm=algorithm, rank=4, alpha=4.0)
    if adapter.alpha is None:
        pytest.skip("this algorithm has no alpha")
    name, factors = next(iter(adapter.layers.items()))
    weight = torch.zeros(tuple(tiny_base.module(name).weight.shape))  # type: ignore[arg-type]
    for alpha, scale in ((1.0, 0.25), (8.0, 2.0)):
        stored = factors.to_tensors() | {"alpha": torch.tensor(alpha)}
        scaled = type(factors).from_tensors(stored)
        torch.testing.assert_close(scaled.delta_weight(weight), scale * factors.delta_weight(weight))


def test_strength_zero_is_the_base_bit_for_bit(tiny_base: Base, adapter: Adapter) -> None:
    bare = draw(tiny_base)
    bank = AdapterBank(tiny_base, [adapter])
    bank.weigh(torch.zeros(1, 1))
    with bank.attached():
        assert torch.equal(draw(tiny_base), bare)
    with bank.merged(torch.zeros(1)):
        assert torch.equal(draw(tiny_base), bare)
    bank.weigh(torch.tensor([[1.0], [0.0], [0.5], [0.0]]))
    with bank.attached():
        mixed = draw(tiny_base)
    assert torch.equal(mixed[1::2], bare[1::2])
    assert not torch.allclose(mixed[0::2], bare[0::2], atol=1e-3)


def test_a_row_of_a_mixed_batch_is_the_picture_drawn_alone(tiny_base: Base, algorithm: str) -> None:
    adapters = [
        trained_adapter(tiny_base, f"a{k}", algorithm=algorithm, rank=2 + k, conv_rank=k % 2 * 3, seed=k)
        for k in range(5)
    ]
    bank = AdapterBank(tiny_base, adapters)
    few = torch.zeros(ROWS, 5)
    few[0, 1], few[1, 4], few[2, 0] = 1.0, -0.5, 0.8
    many = torch.rand(ROWS, 5, generator=torch.Generator().manual_seed(3))
    for S in (few, many):
        bank.weigh(S)
        with bank.attached():
            mixed = draw(tiny_base)
        for row in range(ROWS):
            chosen = [k for k in range(5) if S[row, k] != 0]
            alone = AdapterBank(tiny_base, [adapters[k] for k in chosen])
            alone.weigh(S[row, chosen])
            with alone.attached():
                torch.testing.assert_close(mixed[row : row + 1], draw(tiny_base, slice(row, row + 1)), **CLOSE)


def test_gradients_are_those_of_the_merged_weight(tiny_base: Base, adapter: Adapter) -> None:
    """The side path's hand-written backward against autograd through W + delta W."""
    for name, factors in list(adapter.layers.items())[::7]:
        layer = tiny_base.module(name)
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        shape = (2, 5, layer.in_features) if isinstance(layer, nn.Linear) else (2, layer.in_channels, 8, 8)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1), requires_grad=True)
        for strengths in (torch.tensor([[0.6]]), torch.tensor([[1.0], [0.3]])):
            bank = AdapterBank(tiny_base, [replace(adapter, layers={name: factors})], trainable=True)
            parameters = bank.factors("unet") + bank.factors("te")
            bank.weigh(strengths)
            with bank.attached():
                y = layer(x)
            g = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
            mine = torch.autograd.grad(y, [x, *parameters], g)

            tensors = {field: tensor.detach().requires_grad_() for field, tensor in factors.trained().items()}
            delta = factors.with_trained(tensors).delta_weight(layer.weight)
            per_row = [
                nn.functional.linear(row, layer.weight + s * delta, layer.bias)
                if isinstance(layer, nn.Linear)
                else layer._conv_forward(row, layer.weight + s * delta, layer.bias)
                for row, s in zip(x.tensor_split(2), strengths.expand(2, 1).flatten().tolist(), strict=True)
            ]
            expected = torch.autograd.grad(torch.cat(per_row), [x, *tensors.values()], g)
            for ours, theirs in zip(mine, expected, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
