"""The bank beyond what every algorithm must do: strengths, ranks, training, misuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.layers.factors import LayerAdapter
from lorasmith.adapters.layers.strengths import read_strengths
from lorasmith.bases.base import Base, load_base
from lorasmith.errors import AdapterError
from tests.adapters.drawing import ROWS, draw, state_of, trained_adapter


def attached_output(bank: AdapterBank, strengths: torch.Tensor, te: torch.Tensor | None = None) -> torch.Tensor:
    bank.set_strengths(strengths, te)
    with bank.attached():
        return draw(bank.base)


def test_strengths_of_denoiser_and_text_encoder_are_apart(tiny_base: Base) -> None:
    adapter = trained_adapter(tiny_base)
    by_part = {
        part: replace(adapter, layers={k: v for k, v in adapter.layers.items() if (tiny_base.targets[k].part == part)})
        for part in ("unet", "te")
    }
    assert all(len(each.layers) > 10 for each in by_part.values())
    bank = AdapterBank(tiny_base, [adapter])
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    for part, unet, te in (("unet", one, zero), ("te", zero, one)):
        expected = attached_output(AdapterBank(tiny_base, [by_part[part]]), one)
        assert torch.equal(attached_output(bank, unet, te), expected)
        with bank.merged(unet[0], te[0]):
            torch.testing.assert_close(draw(tiny_base), expected, rtol=1e-4, atol=1e-5)


def test_opposite_strengths_of_one_adapter_cancel(tiny_base: Base) -> None:
    adapter = trained_adapter(tiny_base)
    bank = AdapterBank(tiny_base, [adapter, adapter])
    torch.testing.assert_close(attached_output(bank, torch.tensor([[0.7, -0.7]])), draw(tiny_base), rtol=0, atol=1e-5)


def test_layers_that_only_some_adapters_have(tiny_base: Base) -> None:
    small = trained_adapter(tiny_base, "small", text_encoder=False, seed=1)
    large = trained_adapter(tiny_base, "large", conv_rank=2, seed=2)
    bank = AdapterBank(tiny_base, [small, large])
    alone = [attached_output(AdapterBank(tiny_base, [each]), torch.ones(1, 1)) for each in (small, large)]
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    mixed = attached_output(bank, rows)
    torch.testing.assert_close(mixed[0::2], alone[0][0::2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mixed[1::2], alone[1][1::2], rtol=1e-4, atol=1e-5)


def test_one_row_serves_any_batch_and_other_counts_are_refused(tiny_base: Base) -> None:
    bank = AdapterBank(tiny_base, [trained_adapter(tiny_base)])
    same = attached_output(bank, torch.full((ROWS, 1), 0.5))
    assert torch.equal(attached_output(bank, torch.tensor([0.5])), same)
    with pytest.raises(ValueError, match="gave 2 rows"):
        attached_output(bank, torch.tensor([[0.5], [1.0]]))


def test_merged_rows_take_no_more_room_than_they_may_and_go_with_the_next_strengths(tiny_base: Base) -> None:
    bank = AdapterBank(tiny_base, [trained_adapter(tiny_base, f"a{k}", seed=k) for k in range(2)])
    rows, others = torch.eye(2).repeat_interleave(ROWS // 2, dim=0), torch.eye(2).repeat(ROWS // 2, 1)
    beside = attached_output(bank, rows)
    bank.merge_blocks(1000)
    with bank.attached():
        assert torch.equal(draw(tiny_base), beside)
    bank.merge_blocks(2**24)
    with bank.attached():
        merged = draw(tiny_base)
        with pytest.raises(ValueError, match="gave 4 rows"):
            draw(tiny_base, slice(1))
    assert not torch.equal(merged, beside)
    torch.testing.assert_close(merged, beside, rtol=1e-4, atol=1e-5)
    swapped = attached_output(bank, others)
    torch.testing.assert_close(swapped[0], beside[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(swapped[3], beside[3], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(swapped[1], beside[1], atol=1e-3)


@pytest.mark.parametrize("wrong", [torch.ones(1, 3), torch.ones(0, 2), torch.tensor([[1.0, float("nan")]])])
def test_wrong_strengths_are_refused(tiny_base: Base, wrong: torch.Tensor) -> None:
    adapter = trained_adapter(tiny_base)
    bank = AdapterBank(tiny_base, [adapter, adapter])
    with pytest.raises(ValueError, match="strength"):
        bank.set_strengths(wrong)


def test_two_banks_at_once_are_refused_and_leave_no_trace(tiny_base: Base) -> None:
    adapter = trained_adapter(tiny_base)
    one, two = AdapterBank(tiny_base, [adapter]), AdapterBank(tiny_base, [adapter])
    bare = draw(tiny_base)
    with one.attached():
        with_one = draw(tiny_base)
        with pytest.raises(AdapterError, match="patched already"), two.attached():
            pass
        assert torch.equal(draw(tiny_base), with_one)
    assert torch.equal(draw(tiny_base), bare)


def test_merged_banks_nest_exactly(tiny_base: Base) -> None:
    before = state_of(tiny_base)
    one = AdapterBank(tiny_base, [trained_adapter(tiny_base, seed=1)])
    two = AdapterBank(tiny_base, [trained_adapter(tiny_base, seed=2)])
    with one.merged(torch.ones(1)):
        inner = state_of(tiny_base)
        with two.merged(torch.tensor([0.5])):
            pass
        assert all(torch.equal(value, inner[key]) for key, value in state_of(tiny_base).items())
    assert all(torch.equal(value, before[key]) for key, value in state_of(tiny_base).items())


def test_only_trainable_banks_train_and_the_base_never(tiny_base: Base) -> None:
    adapter = trained_adapter(tiny_base)
    assert not any(p.requires_grad for p in AdapterBank(tiny_base, [adapter]).parameters())
    bank = AdapterBank(tiny_base, [adapter], trainable=True)
    assert len(bank.factors("unet")) + len(bank.factors("te")) == len(list(bank.parameters()))
    assert all(p.requires_grad and p.dtype == torch.float32 for p in bank.parameters())


def test_training_moves_the_adapter_towards_another_output(tiny_base: Base) -> None:
    bank = AdapterBank(
        tiny_base,
        [
            new_adapter(
                tiny_base,
                name="n",
                rank=4,
                alpha=4,
                conv_rank=2,
                text_encoder=True,
                generator=torch.Generator().manual_seed(0),
            )
        ],
        trainable=True,
    )
    optimizer = torch.optim.AdamW([*bank.factors("unet"), *bank.factors("te")], lr=5e-3)
    x, t = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([0.3])
    losses = []
    for _ in range(20):
        with bank.attached():
            out = tiny_base.denoise(x, t, tiny_base.encode(["zbk"]))
        loss = (out - x).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    moved = bank.adapter(0, "moved", {"ss_steps": "20"})
    assert all(bool(factors.trained()["up"].abs().sum() > 0) for factors in moved.layers.values())
    assert not any(p.requires_grad for f in moved.layers.values() for p in f.trained().values())
    kept = {name: factors.trained()["up"].clone() for name, factors in moved.layers.items()}
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.zero_()
    assert all(torch.equal(factors.trained()["up"], kept[name]) for name, factors in moved.layers.items())


def test_a_sweep_trains_each_adapter_on_its_own_rows(tiny_base: Base) -> None:
    """One-hot rows: an adapter's gradient is that of its own sample alone (design.md 3)."""
    adapters = [trained_adapter(tiny_base, f"s{k}", rank=k + 2, seed=k, text_encoder=False) for k in range(ROWS)]
    x = torch.randn(ROWS, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    t = torch.full((ROWS,), 0.4)
    with torch.no_grad():
        hidden = tiny_base.encode(["hat"] * ROWS)

    def gradients(which: list[int], rows: torch.Tensor) -> list[torch.Tensor]:
        bank = AdapterBank(tiny_base, [adapters[k] for k in which], trainable=True)
        bank.set_strengths(rows)
        with bank.attached():
            out = tiny_base.denoise(x[which], t[which], hidden[which])
        mine = [tensor for k in range(len(which)) for tensor in _tensors(bank, k)]
        return list(torch.autograd.grad(out.square().sum(), mine))

    together = gradients(list(range(ROWS)), torch.eye(ROWS))
    apart = [tensor for k in range(ROWS) for tensor in gradients([k], torch.ones(1, 1))]
    assert len(together) == len(apart) > 100
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def _tensors(bank: AdapterBank, k: int) -> list[torch.nn.Parameter]:
    sides = [cast(LayerAdapter, of_layer[0]) for of_layer in cast(Any, bank.layers).values()]
    return [tensor for side in sides for tensor in side.trained[k].parameters()]


@pytest.mark.parametrize("family", ["sd2", "sdxl"])
def test_other_families(family: str, family_folders: dict[str, Path]) -> None:
    base = load_base(family_folders[family])
    adapter = trained_adapter(base, conv_rank=2)
    assert len(adapter.layers) == len(base.targets)
    bare = draw(base)
    bank = AdapterBank(base, [adapter])
    with bank.attached():
        beside = draw(base)
    with bank.merged(torch.ones(1)):
        torch.testing.assert_close(draw(base), beside, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(beside, bare, atol=1e-3)
    assert torch.equal(draw(base), bare)


def test_half_precision_base(tiny_base_folder: Path) -> None:
    exact, half = load_base(tiny_base_folder), load_base(tiny_base_folder, torch.bfloat16)
    adapter = trained_adapter(exact, conv_rank=2)
    x = torch.randn(2, 32, 8, 8)
    name = "lora_unet_down_blocks_0_resnets_0_conv1"
    outputs = []
    for base in (exact, half):
        bank = AdapterBank(base, [adapter], trainable=base is half)
        layer = base.module(name)
        with bank.attached():
            outputs.append(layer(x.to(base.dtype)))
    assert outputs[1].dtype == torch.bfloat16
    torch.testing.assert_close(outputs[1].float(), outputs[0], rtol=0.05, atol=0.05)


class TestFitting:
    def test_an_adapter_of_another_family_fits_nothing(self, tiny_base: Base, family_folders: dict[str, Path]) -> None:
        foreign = trained_adapter(load_base(family_folders["sdxl"]), "foreign", text_encoder=False)
        with pytest.raises(AdapterError, match=r"fits nothing.*input_blocks"):
            AdapterBank(tiny_base, [foreign])

    def test_a_layer_too_many_is_named(self, tiny_base: Base) -> None:
        adapter = trained_adapter(tiny_base)
        extra = next(iter(adapter.layers.values()))
        more = replace(adapter, layers={**adapter.layers, "lora_unet_down_blocks_9_proj_in": extra})
        with pytest.raises(AdapterError, match=r"1 of its \d+ layers.*down_blocks_9_proj_in"):
            AdapterBank(tiny_base, [more])

    def test_a_wrong_width_is_named(self, tiny_base: Base) -> None:
        adapter = trained_adapter(tiny_base)
        name = "lora_te_text_model_encoder_layers_0_mlp_fc1"
        wrong = replace(adapter, layers={name: adapter.layers[name.replace("fc1", "fc2")]})
        with pytest.raises(AdapterError, match="mlp_fc1 is made for 32 x 64, the layer has 64 x 32"):
            AdapterBank(tiny_base, [wrong])

    def test_diffusers_names_of_sdxl_layers_are_understood(self, family_folders: dict[str, Path]) -> None:
        base = load_base(family_folders["sdxl"])
        adapter = trained_adapter(base, conv_rank=2)
        renamed = replace(
            adapter,
            layers={
                _diffusers_name(base, name).replace("lora_te1_", "lora_te_"): factors
                for name, factors in adapter.layers.items()
            },
        )
        assert renamed.layers.keys() != adapter.layers.keys()
        outputs = [attached_output(AdapterBank(base, [each]), torch.ones(1, 1)) for each in (adapter, renamed)]
        assert torch.equal(outputs[0], outputs[1])
        doubled = replace(adapter, layers={**adapter.layers, **renamed.layers})
        with pytest.raises(AdapterError, match="twice"):
            AdapterBank(base, [doubled])


def _diffusers_name(base: Base, name: str) -> str:
    target = base.targets[name]
    return name if target.part == "te" else f"lora_unet_{target.path.replace('.', '_')}"


class TestNewAdapter:
    @pytest.mark.parametrize(
        ("conv_rank", "text_encoder", "groups"),
        [
            (0, False, {"attention", "mlp"}),
            (0, True, {"attention", "mlp"}),
            (2, False, {"attention", "mlp", "conv", "time"}),
        ],
    )
    def test_layers_follow_the_choice(
        self, tiny_base: Base, conv_rank: int, text_encoder: bool, groups: set[str]
    ) -> None:
        adapter = _new(tiny_base, conv_rank=conv_rank, text_encoder=text_encoder)
        expected = [
            name
            for name, target in tiny_base.targets.items()
            if target.group in groups and (text_encoder or target.part == "unet")
        ]
        assert list(adapter.layers) == expected
        for name, factors in adapter.layers.items():
            wide = tiny_base.targets[name].kind == "conv3"
            assert (factors.rank, factors.alpha) == ((conv_rank, 1.0) if wide else (4, 2.0))

    def test_a_generator_decides_the_start(self, tiny_base: Base) -> None:
        first, same, other = (_new(tiny_base, seed=seed) for seed in (1, 1, 2))
        name = next(iter(first.layers))
        down = [each.layers[name].trained()["down"] for each in (first, same, other)]
        assert torch.equal(down[0], down[1])
        assert not torch.equal(down[0], down[2])
        bound = down[0].shape[1] ** -0.5
        assert float(down[0].abs().max()) <= bound
        assert float(down[0].std()) == pytest.approx(bound / 3**0.5, rel=0.25)

    @pytest.mark.parametrize(("word", "value"), [("rank", 0), ("alpha", 0.0), ("alpha", -1.0), ("conv_rank", -1)])
    def test_wrong_numbers(self, tiny_base: Base, word: str, value: Any) -> None:
        with pytest.raises(AdapterError, match="not above 0"):
            _new(tiny_base, **{word: value})

    def test_an_unknown_algorithm_suggests_the_near_one(self, tiny_base: Base) -> None:
        with pytest.raises(AdapterError, match=r'Did you mean "lora"\?'):
            _new(tiny_base, algorithm="lroa")


def _new(base: Base, seed: int = 0, **changes: Any) -> Adapter:
    values: dict[str, Any] = {
        "name": "n",
        "rank": 4,
        "alpha": 2.0,
        "conv_alpha": 1.0,
        "text_encoder": False,
    } | changes
    return new_adapter(base, generator=torch.Generator().manual_seed(seed), **values)


class TestStrengths:
    def test_all_zero_is_no_mix(self) -> None:
        assert read_strengths(torch.zeros(3, 2), torch.device("cpu")) is None

    def test_equal_rows_share(self) -> None:
        mix = read_strengths(torch.tensor([[0.0, 0.5, 2.0]] * 3), torch.device("cpu"))
        assert mix is not None
        assert (mix.active, mix.shared, mix.rows) == ((1, 2), (0.5, 2.0), None)

    def test_sparse_rows_pick(self) -> None:
        mix = read_strengths(torch.eye(6).flip(0) * 0.5, torch.device("cpu"))
        assert mix is not None
        assert not mix.blocks
        assert mix.index is not None
        assert mix.picked is not None
        assert mix.index.flatten().tolist() == list(range(6))[::-1]
        assert mix.picked.flatten().tolist() == [0.5] * 6

    def test_rows_in_blocks_are_known(self) -> None:
        for S, blocks in (
            (torch.eye(3).repeat_interleave(2, dim=0), True),
            (torch.eye(3)[:, [0, 2]], False),
            (torch.eye(3).repeat(2, 1), False),
            (torch.tensor([[1.0, 0], [1, 0], [0, 1]]), False),
        ):
            mix = read_strengths(S, torch.device("cpu"))
            assert mix is not None
            assert mix.blocks == blocks, S

    def test_dense_rows_join(self) -> None:
        mix = read_strengths(torch.tensor([[1.0, 0.5], [0.0, 1.0]]), torch.device("cpu"))
        assert mix is not None
        assert mix.index is None
        assert mix.rows is not None
        assert mix.rows.tolist() == [[1.0, 0.5], [0.0, 1.0]]


def test_what_a_bank_keeps_from_inference_serves_training_through_it(tiny_base: Base) -> None:
    """Drawing may come first; a gradient to the latents must still pass a fixed bank."""
    bank = AdapterBank(tiny_base, [trained_adapter(tiny_base, f"a{k}", seed=k, conv_rank=2) for k in range(4)])
    x = torch.randn(2, 4, 8, 8)
    for S in (torch.tensor([[1.0, 0.5, 0.0, 0.0]]), torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0]])):
        with torch.inference_mode():
            bank.set_strengths(S)
            with bank.attached():
                context = tiny_base.encode(["hat"] * 2)
                drawn = tiny_base.denoise(x, torch.tensor([0.005, 0.005]), context)
        start = x.clone().requires_grad_()
        with bank.attached():
            context = tiny_base.encode(["hat"] * 2)
            out = tiny_base.denoise(start, torch.tensor([0.005, 0.005]), context)
        torch.testing.assert_close(out, drawn, rtol=1e-4, atol=1e-5)
        (gradient,) = torch.autograd.grad(out.square().sum(), start)
        assert float(gradient.abs().sum()) > 0
