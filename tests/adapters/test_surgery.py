"""Surgery against the full matrices: the same change, the best smaller rank, errors that are true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import read_header
from lorasmith.adapters.surgery.blocks import block_of, block_strength, read_blocks
from lorasmith.adapters.surgery.extraction import best_product, extract
from lorasmith.adapters.surgery.insertion import insert
from lorasmith.adapters.surgery.merging import merge, to_lora
from lorasmith.adapters.surgery.products import Cut, shorten
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families import find_family
from lorasmith.bases.stored import open_stored
from lorasmith.errors import AdapterError, StorageError, UsageError
from lorasmith.events import finish
from tests.adapters.drawing import trained_adapter
from tests.adapters.toy import draw, toy_base
from tests.checkpoints import write_checkpoint

KINDS: dict[str, dict[str, Any]] = {
    "lora": {},
    "tucker": {"tucker": True},
    "loha": {"algorithm": "loha"},
    "loha tucker": {"algorithm": "loha", "tucker": True},
    "lokr": {"algorithm": "lokr", "rank": 2, "conv_rank": 2},
    "full": {"algorithm": "full"},
    "dora": {"algorithm": "dora"},
    "ia3": {"algorithm": "ia3"},
    "oft": {"algorithm": "oft"},
    "glora": {"algorithm": "glora"},
}


def deltas(adapter: Adapter, base: Base) -> dict[str, Tensor]:
    return {
        name: factors.delta_weight(cast(nn.Linear, base.module(name)).weight.detach())
        for name, factors in adapter.layers.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_any_algorithm_becomes_a_lora_that_draws_the_same(kind: str) -> None:
    base = toy_base()
    adapter = trained_adapter(base, **({"conv_rank": 3} | KINDS[kind]))
    done = to_lora(adapter, base=base)
    assert done.error < 1e-5
    assert all(type(factors) is LoraFactors for factors in done.adapter.layers.values())
    with AdapterBank(base, [adapter]).attached():
        before = draw(base)
    with AdapterBank(base, [done.adapter]).attached():
        torch.testing.assert_close(draw(base), before, rtol=1e-3, atol=1e-4)


def test_a_smaller_rank_is_the_full_svd_s_and_the_error_is_true() -> None:
    base = toy_base()
    adapter = trained_adapter(base, rank=8, conv_rank=6)
    done = to_lora(adapter, Cut(rank=3))
    old, new = deltas(adapter, base), deltas(done.adapter, base)
    assert len(new) == 10
    lost = whole = 0.0
    for name, delta in old.items():
        U, S, Vh = torch.linalg.svd(delta.flatten(1), full_matrices=False)
        best = (U[:, :3] * S[:3]) @ Vh[:3]
        torch.testing.assert_close(new[name].flatten(1), best, rtol=0, atol=1e-5)
        gone = float((delta - new[name]).norm())
        assert done.errors[name] == pytest.approx(gone / float(delta.norm()), rel=1e-3)
        lost, whole = lost + gone**2, whole + float(delta.norm()) ** 2
    assert done.error == pytest.approx((lost / whole) ** 0.5, rel=1e-3)
    assert done.adapter.rank == 3


def test_the_share_to_keep_chooses_the_rank() -> None:
    Q, P = torch.linalg.qr(torch.randn(20, 4))[0], torch.linalg.qr(torch.randn(30, 4))[0]
    sizes = torch.tensor([10.0, 5.0, 1.0, 0.1])
    for keep, rank in ((0.7, 1), (0.95, 2), (0.9999, 3), (1.0, 4)):
        up, down, gone, norm = shorten(Q * sizes, P.T, Cut(keep=keep))
        assert (up.shape[1], down.shape[0]) == (rank, rank)
        assert 1 - (gone / norm) ** 2 >= keep - 1e-6


def test_merging_is_the_weighted_sum() -> None:
    base = toy_base()
    one, two = trained_adapter(base, "one", conv_rank=2), trained_adapter(base, "two", algorithm="loha", seed=2)
    done = merge([one, two], [0.7, -0.4], base=base)
    assert done.error < 1e-5
    bank = AdapterBank(base, [one, two])
    bank.set_strengths(torch.tensor([0.7, -0.4]))
    with bank.attached():
        before = draw(base)
    with AdapterBank(base, [done.adapter]).attached():
        torch.testing.assert_close(draw(base), before, rtol=1e-3, atol=1e-4)


def test_what_no_lora_can_hold_is_refused() -> None:
    base = toy_base()
    with pytest.raises(AdapterError, match="norm or a bias"):
        to_lora(trained_adapter(base, norms=True), base=base)
    with pytest.raises(AdapterError, match="Name the base"):
        to_lora(trained_adapter(base, algorithm="ia3"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint of the true layout."""
    return write_checkpoint(tmp_path_factory.mktemp("surgery") / "base.safetensors", "sd2")


class TestCheckpoints:
    """Out of checkpoints and into them, and out of and into a folder."""

    def test_into_a_checkpoint_and_out_again(self, file: Path, tmp_path: Path) -> None:
        stored = open_stored(file)
        base = load_base(file, prediction="epsilon")
        assert set(stored.layers) == set(base.layers)
        for name in list(base.layers)[::17]:
            with stored.reading():
                assert torch.equal(stored.read(name), base.module(name).weight)  # type: ignore[arg-type]
        adapter = trained_adapter(base, conv_rank=2, norms=True)
        other = trained_adapter(base, "b", algorithm="ia3", seed=3)
        before = file.read_bytes()
        path, _ = finish(
            insert(stored, [adapter, other], [0.5, {"TE": 0.0, "BASE": 1.0}], tmp_path / "new.safetensors")
        )
        assert file.read_bytes() == before
        merged = load_base(path, prediction="epsilon")
        bank = AdapterBank(base, [adapter, other])
        with bank.merged(torch.tensor([0.5, 1.0]), torch.tensor([0.5, 0.0])):
            for name in base.layers:
                ours, theirs = merged.module(name), base.module(name)
                torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-5, atol=1e-6)
                if theirs.bias is not None:
                    torch.testing.assert_close(ours.bias, theirs.bias, rtol=1e-5, atol=1e-6)
        assert read_header(path).metadata["modelspec.merged_from"] == "a, b"
        with pytest.raises(StorageError, match="exists already"):
            finish(insert(stored, [adapter], [1.0], path))

        plain = trained_adapter(base, conv_rank=2)
        path, _ = finish(insert(stored, [plain], [1.0], tmp_path / "plain.safetensors"))
        done = finish(extract(open_stored(path), stored, Cut(rank=4), name="taken"))
        assert done.error < 1e-3
        assert set(done.adapter.layers) == set(plain.layers)
        old, new = deltas(plain, base), deltas(done.adapter, base)
        for name in old:
            torch.testing.assert_close(new[name], old[name], rtol=1e-3, atol=2e-5)
        only = finish(extract(open_stored(path), stored, Cut(rank=1), name="x", groups=["mlp"], text_encoder=False))
        assert only.error > 0.1
        assert {base.layers[name].group for name in only.adapter.layers} == {"mlp"}
        with pytest.raises(AdapterError, match="do not differ"):
            finish(extract(stored, stored, Cut(rank=4), name="x"))

    def test_a_folder_becomes_a_folder(self, tiny_base: Base, tiny_base_folder: Path, tmp_path: Path) -> None:
        adapter = trained_adapter(tiny_base, text_encoder=False)
        out, _ = finish(insert(open_stored(tiny_base_folder), [adapter], [1.0], tmp_path / "new"))
        merged = load_base(out)
        with AdapterBank(tiny_base, [adapter]).merged(torch.ones(1)):
            for name in tiny_base.layers:
                torch.testing.assert_close(merged.module(name).weight, tiny_base.module(name).weight)
        stored = open_stored(out)
        other = replace(stored, structure=replace(stored.structure, family=find_family("sd2")))
        with pytest.raises(AdapterError, match="sd2"):
            finish(extract(stored, other, Cut(), name="x"))

    def test_an_interrupted_merge_leaves_nothing(self, file: Path, tmp_path: Path) -> None:
        base = load_base(file, prediction="epsilon")
        work = insert(open_stored(file), [trained_adapter(base)], [1.0], tmp_path / "new.safetensors")
        next(work)
        work.close()
        assert not list(tmp_path.iterdir())


def test_the_best_product_of_a_matrix_is_the_svd_s() -> None:
    for shape in ((40, 90), (90, 40)):
        M = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        U, S, Vh = torch.linalg.svd(M.double(), full_matrices=False)
        up, down, gone, norm = best_product(M, Cut(rank=7))
        torch.testing.assert_close(up @ down, ((U[:, :7] * S[:7]) @ Vh[:7]).float(), rtol=0, atol=1e-5)
        assert gone == pytest.approx(float(S[7:].norm()), rel=1e-5)
        assert norm == pytest.approx(float(M.norm()), rel=1e-5)


def test_the_ratio_chooses_the_rank() -> None:
    Q, P = torch.linalg.qr(torch.randn(20, 4))[0], torch.linalg.qr(torch.randn(30, 4))[0]
    sizes = torch.tensor([10.0, 5.1, 0.9, 0.1])
    assert [shorten(Q * sizes, P.T, Cut(ratio=ratio))[0].shape[1] for ratio in (1.5, 2, 20, 1000)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", "IN04"),
        ("lora_unet_middle_block_1_proj_in", "M00"),
        ("lora_unet_output_blocks_0_1_proj_in", "OUT00"),
        ("lora_unet_down_blocks_0_attentions_1_proj_in", "IN02"),
        ("lora_unet_down_blocks_2_downsamplers_0_conv", "IN09"),
        ("lora_unet_up_blocks_3_resnets_2_conv1", "OUT11"),
        ("lora_unet_up_blocks_0_upsamplers_0_conv", "OUT02"),
        ("lora_unet_mid_block_resnets_0_conv1", "M00"),
        ("lora_te2_text_model_encoder_layers_3_mlp_fc1", "TE"),
        ("lora_unet_conv_norm_out", "BASE"),
    ],
)
def test_blocks_by_name(name: str, block: str) -> None:
    assert block_of(name) == block


def test_strengths_by_block() -> None:
    table = read_blocks("IN=0.5, IN04=2,BASE=0")
    names = ("lora_unet_input_blocks_4_1_proj_in", "lora_unet_input_blocks_5_1_proj_in", "lora_te_text_model_x")
    assert [block_strength(name, table) for name in names] == [2, 0.5, 0]
    assert block_strength("lora_te_text_model_x", {"IN": 0.0}) == 1
    for wrong in ("INN=1", "IN=x", "IN4=1"):
        with pytest.raises(UsageError):
            read_blocks(wrong)
