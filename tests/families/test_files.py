"""Adapter files of a family from outside: other tools' spellings, merged, put into the base and taken out of it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from safetensors.torch import load_file
from torch import nn

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.description import describe
from lorasmith.adapters.files import load_adapter
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.errors import AdapterError
from tests.adapters.drawing import trained_adapter
from tests.families.roads import Run, command, told


def assert_same_effect(one: Adapter, other: Adapter, base: Base, tolerance: float = 5e-3) -> None:
    mine, theirs = (fit_adapter(adapter, base).layers for adapter in (one, other))
    assert mine.keys() == theirs.keys()
    for name, factors in theirs.items():
        weight = cast(nn.Linear, base.module(name)).weight
        want = factors.delta_weight(weight)
        assert float((mine[name].delta_weight(weight) - want).norm()) <= tolerance * float(want.norm()) + 1e-5


def test_other_tools_spellings_and_back(trained: Run, base: Base, folder: Path, tmp_path: Path) -> None:
    file, own = trained.done.adapter, load_adapter(trained.done.adapter)
    diffusers, kohya, back = (tmp_path / f"{name}.safetensors" for name in ("diffusers", "kohya", "back"))
    command("adapter", "convert", file, "--to", "diffusers", "--out", diffusers)  # by the family alone
    keys = {key.split(".lora_")[0] for key in load_file(diffusers)}
    assert "transformer.transformer_blocks.1.attn2.to_q" in keys
    assert "text_encoder.layers.0.self_attn.q_proj" in keys
    command("adapter", "convert", diffusers, "--to", "kohya", "--out", back, "--base", folder)
    command("adapter", "convert", file, "--to", "kohya", "--out", kohya)
    for path in (diffusers, back, kohya):
        assert_same_effect(load_adapter(path), own, base)
    assert load_adapter(back).layers.keys() == own.layers.keys()
    command("adapter", "convert", file, "--to", "peft", "--out", tmp_path / "peft")
    for part, count in (("transformer", 20), ("text_encoder", 6)):
        peft = load_adapter(tmp_path / "peft" / part / "adapter_model.safetensors")
        assert len(AdapterBank(base, [peft]).layers) == count


def test_two_become_one_by_blocks(
    trained: Run, base: Base, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, both = trained.done.adapter, tmp_path / "both.safetensors"
    done = told(capsys, "adapter", "merge", f"{file}:TE=0,B00=0.5,B=1", file, "--out", both, "--base", folder)
    assert done["error"] < 1e-3
    merged, own = (fit_adapter(load_adapter(path), base).layers for path in (both, file))
    for name, times in (
        ("lora_dit_blocks_0_mlp_layer1", 1.5),
        ("lora_dit_blocks_1_cross_attn_k_proj", 2.0),
        ("lora_words_layers_0_mlp_up_proj", 1.0),
    ):
        weight = cast(nn.Linear, base.module(name)).weight
        change, once = merged[name].delta_weight(weight), own[name].delta_weight(weight)
        assert float((change - times * once).norm()) < 5e-3 * float(change.norm())


def test_into_the_base_and_out_of_it(trained: Run, base: Base, folder: Path, tmp_path: Path) -> None:
    file, own, inside = trained.done.adapter, load_adapter(trained.done.adapter), tmp_path / "inside"
    command("adapter", "merge", file, "--into", folder, "--out", inside)
    assert load_base(inside).content_hash != base.content_hash
    taken = tmp_path / "out.safetensors"
    command("adapter", "extract", inside, folder, "--out", taken, "--rank", "8")
    seen = describe(taken)
    assert seen.family == "reel"
    assert seen.adapter.layers.keys() == own.layers.keys()
    assert_same_effect(seen.adapter, own, base, tolerance=2e-2)


def test_files_of_other_families_mean_what_they_meant(trained: Run, base: Base, tiny_base: Base) -> None:
    with pytest.raises(AdapterError, match=r"fits nothing on .*none of its 26 layers"):
        AdapterBank(tiny_base, [load_adapter(trained.done.adapter)])
    theirs = trained_adapter(tiny_base, rank=2, alpha=2.0)
    with pytest.raises(AdapterError, match=r"fits nothing on .*this base is colours \(reel\)"):
        AdapterBank(base, [theirs])
