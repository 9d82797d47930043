"""What every registered algorithm must do, with and without convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.dora.factors import DoraFactors
from lorasmith.adapters.algorithms.dylora import DyloraOptions
from lorasmith.adapters.algorithms.dylora.factors import DyloraFactors
from lorasmith.adapters.algorithms.lokr import LokrOptions
from lorasmith.adapters.algorithms.lokr.factors import LokrFactors
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, read_tensors, save_adapter
from lorasmith.bases.base import Base
from tests.adapters.drawing import state_of, trained_adapter
from tests.adapters.toy import ROWS, draw, toy_base
from tests.adapters.toy_algorithm import TOY

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


def test_there_are_algorithms() -> None:
    assert "lora" in ALGORITHMS
    assert all(name == each.name == each.kind.algorithm for name, each in ALGORITHMS.items())
    assert all(each.on_norms == each.kind.on_norms for each in ALGORITHMS.values())


VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {"algorithm": name} for name in ALGORITHMS},
    "toy": {"algorithm": "toy"},
    "dora-toy": {"algorithm": "toy", "dora": True},
    "rslora": {"rank_stabilised": True},
    "lora-tucker-norms": {"tucker": True, "norms": True},
    "dora-tucker": {"algorithm": "tucker", "dora": True},
    "dora-loha": {"algorithm": "loha", "dora": True},
    "dora-lokr": {"algorithm": "lokr", "dora": True},
    "loha-tucker": {"algorithm": "loha", "tucker": True},
    "loha-thin": {"algorithm": "loha", "rank": 1, "conv_rank": 1},
    "lokr-factor": {"algorithm": "lokr", "options": LokrOptions(factor=4)},
    "lokr-tucker": {"algorithm": "lokr", "rank": 2, "conv_rank": 2, "tucker": True},
    "lokr-full": {"algorithm": "lokr", "options": LokrOptions(full=True)},
    "lokr-both": {"algorithm": "lokr", "rank": 1, "conv_rank": 1, "options": LokrOptions(both=True, factor=8)},
    "dylora-block": {"algorithm": "dylora", "options": DyloraOptions(block=2)},
}


@pytest.fixture(autouse=True, scope="module")
def a_toy_is_registered() -> Iterator[None]:
    ALGORITHMS.register(TOY)
    yield
    ALGORITHMS.remove(TOY)


@pytest.fixture(params=sorted(VARIANTS))
def variant(request: pytest.FixtureRequest) -> dict[str, Any]:
    return VARIANTS[request.param]


@pytest.fixture
def adapter(variant: dict[str, Any], toy: Base) -> Adapter:
    return trained_adapter(toy, **({"conv_rank": 3} | variant))


def layer_input(layer: nn.Module) -> torch.Tensor:
    """(2, ...) of random input that fits the layer."""
    g = torch.Generator().manual_seed(1)
    if isinstance(layer, nn.Linear):
        return torch.randn(2, 5, layer.in_features, generator=g)
    if isinstance(layer, nn.LayerNorm):
        return torch.randn(2, 5, *layer.normalized_shape, generator=g)
    width = layer.in_channels if isinstance(layer, nn.Conv2d) else layer.num_channels
    return torch.randn(2, width, 8, 8, generator=g)  # type: ignore[arg-type]


def with_weight(layer: nn.Module, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """The layer's function with another weight and bias."""
    values = {"weight": weight} | ({} if bias is None else {"bias": bias})
    return torch.func.functional_call(layer, values, (x,))  # type: ignore[no-any-return]


@pytest.fixture
def toy() -> Base:
    return toy_base()


@pytest.fixture
def untouched(toy: Base) -> Iterator[None]:
    """Checks that a test leaves every weight and every layer as it was."""
    before = state_of(toy)
    yield
    after = state_of(toy)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    parts = (toy.denoiser, *(encoder.model for encoder in toy.text_encoders))
    assert not [name for part in parts for name, module in part.named_modules() if "forward" in vars(module)]


def test_new_factors_have_no_effect(toy: Base, variant: dict[str, Any]) -> None:
    values: dict[str, Any] = {"name": "new", "rank": 4, "alpha": 4, "conv_rank": 2, "text_encoder": True}
    fresh = new_adapter(toy, generator=torch.Generator().manual_seed(0), **(values | variant))
    norms = len(toy.layers) - len(toy.targets)
    if variant.get("algorithm") == "norm":
        assert len(fresh.layers) == norms == 6
    else:
        assert len(fresh.layers) == len(toy.targets) + (norms if variant.get("norms") else 0)
    bare = draw(toy)
    with AdapterBank(toy, [fresh]).attached():
        assert torch.equal(draw(toy), bare)


@pytest.mark.usefixtures("untouched")
def test_detaching_restores_bit_for_bit(toy: Base, adapter: Adapter) -> None:
    bare = draw(toy)
    bank = AdapterBank(toy, [adapter])
    with bank.attached():
        assert not torch.allclose(draw(toy), bare, atol=1e-3)
    assert torch.equal(draw(toy), bare)
    with bank.merged(torch.ones(1)):
        assert not torch.allclose(draw(toy), bare, atol=1e-3)
    assert torch.equal(draw(toy), bare)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 0.0], [1.0, 0.0], [0.0, 0.5], [0.0, 0.5]],
        [[1.0, 0.0], [0.0, 0.0], [0.5, 0.7], [0.0, -1.0]],
        [[0.6, 0.2]] * ROWS,
    ],
)
def test_rows_with_merged_weights_are_the_side_path(
    toy: Base, adapter: Adapter, variant: dict[str, Any], rows: list[list[float]]
) -> None:
    bank = AdapterBank(toy, [adapter, trained_adapter(toy, "other", seed=3, **({"conv_rank": 3} | variant))])
    bank.set_strengths(torch.tensor(rows))
    with bank.attached():
        beside = draw(toy)
        bank.merge_blocks(2**20)
        torch.testing.assert_close(draw(toy), beside, **CLOSE)
        bank.part_blocks()
        assert torch.equal(draw(toy), beside)


@pytest.mark.usefixtures("untouched")
def test_a_block_of_rows_that_changes_is_made_in_its_place(
    toy: Base, adapter: Adapter, variant: dict[str, Any]
) -> None:
    """What was merged for rows before is as good as what is merged for them now, to the bit, with a shift of a bias or
    without."""
    adapters = [adapter, trained_adapter(toy, "other", seed=3, **({"conv_rank": 3} | variant))]
    bank, anew = AdapterBank(toy, adapters), AdapterBank(toy, adapters)
    blocks = [[0.0, 0.0], [0.3, 0.0]], [[0.8, 0.1], [0.3, 0.0]], [[0.8, 0.1], [0.0, 0.0]], [[0.0, -1.0], [1.0, 0.2]]
    for rows in (torch.tensor(pair).repeat_interleave(2, dim=0) for pair in blocks):
        for each in (bank, anew):
            each.set_strengths(rows)
            each.merge_blocks(2**20)
        with bank.attached():
            kept = draw(toy)
        with anew.attached():
            assert torch.equal(draw(toy), kept)
        anew.part_blocks()


@pytest.mark.usefixtures("untouched")
def test_an_exception_leaves_no_trace(toy: Base, adapter: Adapter) -> None:
    bare = draw(toy)
    bank = AdapterBank(toy, [adapter])
    for active in (bank.attached(), bank.merged(torch.ones(1))):
        with pytest.raises(KeyboardInterrupt), active:
            raise KeyboardInterrupt
    assert torch.equal(draw(toy), bare)


@pytest.mark.parametrize("strength", [1.0, 0.7, -0.4])
def test_side_path_merge_and_delta_weight_agree(toy: Base, adapter: Adapter, strength: float) -> None:
    bank = AdapterBank(toy, [adapter])
    bank.set_strengths(torch.tensor([[strength]]))
    with bank.attached():
        beside = draw(toy)
    with bank.merged(torch.tensor([strength])):
        merged = draw(toy)
    torch.testing.assert_close(merged, beside, **CLOSE)
    for name, factors in adapter.layers.items():
        layer: Any = toy.module(name)
        layer.weight.data = layer.weight.data + strength * factors.delta_weight(layer.weight)
        delta_bias = factors.delta_bias()
        if delta_bias is not None and layer.bias is None:
            layer.bias = nn.Parameter(strength * delta_bias)
        elif delta_bias is not None:
            layer.bias.data = layer.bias.data + strength * delta_bias
    torch.testing.assert_close(draw(toy), beside, **CLOSE)


def test_every_layer_has_an_effect_of_its_own(toy: Base, adapter: Adapter) -> None:
    assert len(adapter.layers) >= 6
    for name, factors in adapter.layers.items():
        layer = toy.module(name)
        x = layer_input(layer)
        with torch.no_grad():
            bare = layer(x)
            with AdapterBank(toy, [replace(adapter, layers={name: factors})]).attached():
                assert not torch.allclose(layer(x), bare, atol=1e-4), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_files_keep_everything(tmp_path: Path, toy: Base, adapter: Adapter, dtype: torch.dtype) -> None:
    path = save_adapter(tmp_path / "a.safetensors", adapter, dtype)
    loaded = load_adapter(path)
    assert loaded.layers.keys() == adapter.layers.keys()
    written = sum(len(factors.to_tensors()) for factors in adapter.layers.values())
    assert len(read_tensors(path)) == written
    for name, factors in adapter.layers.items():
        # A DyLoRA's file is a plain LoRA's.
        assert type(loaded.layers[name]) is (LoraFactors if isinstance(factors, DyloraFactors) else type(factors))
        for suffix, tensor in factors.to_tensors().items():
            assert torch.equal(loaded.layers[name].to_tensors()[suffix], tensor.to(dtype).float()), (name, suffix)
    outputs = []
    for each in (adapter, loaded):
        with AdapterBank(toy, [each]).attached():
            outputs.append(draw(toy))
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=1e-6 if dtype == torch.float32 else 2e-2)


def test_alpha_is_honoured(toy: Base, adapter: Adapter) -> None:
    """The stored alpha scales the change that algorithms without magnitudes make, by alpha / rank."""
    scaled_layers = 0
    for name, factors in list(adapter.layers.items())[::3]:
        inner = factors.inner if isinstance(factors, DoraFactors) else factors
        if inner.alpha is None:
            continue
        weight = cast(nn.Linear, toy.module(name)).weight.detach()
        stored = inner.to_tensors()
        one = type(inner).from_tensors(stored | {"alpha": torch.tensor(float(inner.rank))}).delta_weight(weight)
        for alpha in (1.0, 8.0):
            scaled = type(inner).from_tensors(stored | {"alpha": torch.tensor(alpha)})
            whole = isinstance(inner, LokrFactors) and {"w1", "w2"} <= inner.tensors.keys()
            expected = one if whole else alpha / inner.rank * one
            torch.testing.assert_close(scaled.delta_weight(weight), expected)
            scaled_layers += 1
    without = ("full", "ia3", "norm", "oft", "boft", "oft_input", "boft_input")
    assert scaled_layers or all(factors.algorithm in without for factors in adapter.layers.values())


def test_strength_zero_is_the_base_bit_for_bit(toy: Base, adapter: Adapter) -> None:
    bare = draw(toy)
    bank = AdapterBank(toy, [adapter])
    bank.set_strengths(torch.zeros(1, 1))
    with bank.attached():
        assert torch.equal(draw(toy), bare)
    with bank.merged(torch.zeros(1)):
        assert torch.equal(draw(toy), bare)
    bank.set_strengths(torch.tensor([[1.0], [0.0], [0.5], [0.0]]))
    with bank.attached():
        mixed = draw(toy)
    assert torch.equal(mixed[1::2], bare[1::2])
    assert not torch.allclose(mixed[0::2], bare[0::2], atol=1e-3)


def test_a_row_of_a_mixed_batch_is_the_picture_drawn_alone(toy: Base, variant: dict[str, Any]) -> None:
    adapters = [
        trained_adapter(toy, f"a{k}", **({"rank": 2 + k} | variant | {"conv_rank": k % 2 * 3}), seed=k)
        for k in range(5)
    ]
    bank = AdapterBank(toy, adapters)
    few = torch.zeros(ROWS, 5)
    few[0, 1], few[1, 4], few[2, 0] = 1.0, -0.5, 0.8
    many = torch.rand(ROWS, 5, generator=torch.Generator().manual_seed(3))
    for S in (few, many):
        bank.set_strengths(S)
        with bank.attached():
            mixed = draw(toy)
        for row in range(ROWS):
            chosen = [k for k in range(5) if S[row, k] != 0]
            alone = AdapterBank(toy, [adapters[k] for k in chosen])
            alone.set_strengths(S[row, chosen])
            with alone.attached():
                torch.testing.assert_close(mixed[row : row + 1], draw(toy, slice(row, row + 1)), **CLOSE)


def test_gradients_are_those_of_the_merged_weight(toy: Base, adapter: Adapter) -> None:
    """The side path's backward against autograd through W + delta W."""
    for name, factors in list(adapter.layers.items()):
        layer: Any = toy.module(name)
        x = layer_input(layer).requires_grad_()
        for strengths in (torch.tensor([[0.6]]), torch.tensor([[1.0], [0.3]])):
            bank = AdapterBank(toy, [replace(adapter, layers={name: factors})], trainable=True)
            parameters = bank.factors("unet") + bank.factors("te")
            bank.set_strengths(strengths)
            with bank.attached():
                y = layer(x)
            g = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
            mine = torch.autograd.grad(y, [x, *parameters], g)

            # In the order of the bank's parameters, which torch sorts by name.
            fields = sorted(factors.trained().items())
            tensors = {field: tensor.detach().requires_grad_() for field, tensor in fields}
            moved = factors.with_trained(tensors)
            delta, delta_bias = moved.delta_weight(layer.weight), moved.delta_bias()
            per_row = [
                with_weight(
                    layer,
                    row,
                    layer.weight + s * delta,
                    layer.bias if delta_bias is None else (0 if layer.bias is None else layer.bias) + s * delta_bias,
                )
                for row, s in zip(x.tensor_split(2), strengths.expand(2, 1).flatten().tolist(), strict=True)
            ]
            expected = torch.autograd.grad(torch.cat(per_row), [x, *tensors.values()], g)
            for ours, theirs in zip(mine, expected, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-4)


def test_algorithms_stack(toy: Base) -> None:
    """One adapter of every algorithm at once, with strengths of both signs: beside the layers and merged."""
    adapters = [
        trained_adapter(toy, key, **({"conv_rank": 3} | values), seed=k, size=0.03)
        for k, (key, values) in enumerate(VARIANTS.items())
    ]
    strengths = torch.tensor([0.5 * (-1.0) ** k for k in range(len(adapters))])
    bank = AdapterBank(toy, adapters)
    bank.set_strengths(strengths)
    bare = draw(toy)
    with bank.attached():
        beside = draw(toy)
    with bank.merged(strengths):
        merged = draw(toy)
    assert float((beside - bare).abs().max()) > 0.01
    torch.testing.assert_close(merged, beside, rtol=1e-3, atol=1e-4)
    # The same by rows: each adapter for a row of its own.
    rows = torch.zeros(ROWS, len(adapters))
    rows[0, 0], rows[1, 3], rows[2, 6], rows[3, 2] = 1.0, 0.7, -0.5, 1.0
    bank.set_strengths(rows)
    with bank.attached():
        mixed = draw(toy)
    for row, k in enumerate((0, 3, 6, 2)):
        alone = AdapterBank(toy, [adapters[k]])
        alone.set_strengths(rows[row, k].view(1, 1))
        with alone.attached():
            torch.testing.assert_close(mixed[row : row + 1], draw(toy, slice(row, row + 1)), **CLOSE)


def test_every_layer_is_claimed_by_one_algorithm(adapter: Adapter) -> None:
    for name, factors in adapter.layers.items():
        tensors = factors.to_tensors()
        claiming = [key for key, each in ALGORITHMS.items() if each.kind.claims(tensors)]
        assert claiming == ["lora" if isinstance(factors, DyloraFactors) else factors.algorithm], name


def test_products_are_the_change(toy: Base, adapter: Adapter) -> None:
    for name, factors in adapter.layers.items():
        weight = cast(nn.Linear, toy.module(name)).weight.detach()
        if factors.on_norms:
            continue
        up, down = factors.as_product(tuple(weight.shape), weight)
        torch.testing.assert_close(up @ down, factors.delta_weight(weight).flatten(1), rtol=1e-4, atol=1e-5)
        if not factors.proportional:
            alone, below = factors.as_product(tuple(weight.shape))
            torch.testing.assert_close(alone @ below, up @ down)


def test_what_an_algorithm_says_of_itself_is_true(toy: Base) -> None:
    for name, entry in ALGORITHMS.items():
        assert entry.core in ("", *ALGORITHMS), name
        assert set(entry.former_keys.values()) <= set(entry.options.model_fields), name
        assert set(entry.kohya.arguments.values()) <= set(entry.options.model_fields), name
        made = trained_adapter(toy, algorithm=name, conv_rank=3)
        for layer, factors in made.layers.items():
            weight = cast(nn.Linear, toy.module(layer)).weight.detach()
            assert bool(factors.near_output) == ("lr.plus_ratio" in entry.switches), name
            assert factors.near_output <= factors.trained().keys()
            norm = factors.squared_norm(weight).sqrt()
            torch.testing.assert_close(norm, factors.delta_weight(weight).norm(), rtol=1e-4, atol=1e-6)
            if "max_weight_norm" in entry.switches:
                own = factors.with_trained({key: tensor.clone() for key, tensor in factors.trained().items()})
                assert not own.bound(weight, 2 * float(norm))
                assert own.bound(weight, float(norm) / 2)
                torch.testing.assert_close(own.squared_norm(weight).sqrt(), norm / 2, rtol=1e-4, atol=1e-6)
