"""Factors in the optimizer's flat buffers: every algorithm learns, and DyLoRA's ranks as it should."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.dylora import DyloraOptions
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.bank import AdapterBank
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.flat import FlatGroup
from tests.adapters.drawing import trained_adapter
from tests.adapters.toy import toy_base


def fresh(**values: Any) -> Adapter:
    generator = torch.Generator().manual_seed(0)
    given = {"rank": 4, "alpha": 2.0, "conv_rank": 4} | values
    return new_adapter(toy_base(), name="a", text_encoder=False, generator=generator, **given)


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_steps_lower_the_loss(algorithm: str, optimizer: str) -> None:
    base = toy_base()
    bank = AdapterBank(base, [fresh(algorithm=algorithm)], trainable=True)
    group = FlatGroup("unet", bank.factors("unet"))
    steps = OPTIMIZERS[optimizer].make([group], OPTIMIZERS[optimizer].options(weight_decay=0.0))
    x, t = torch.randn(4, 8, 8, 8), torch.randn(4, 10)
    target = base.denoiser(x, t) + 0.3 * torch.randn(4, 16, 24)
    losses = []
    for _ in range(8):
        with bank.attached():
            loss = F.mse_loss(base.denoiser(x, t), target)
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step({"unet": 1e-3})
        group.grad.zero_()
        losses.append(float(loss.detach()))
    assert min(losses[1:]) < losses[0]
    before, after = fresh(algorithm=algorithm), bank.adapter(0, "a", {})
    for name, factors in after.layers.items():
        was = before.layers[name].trained()
        assert any(not torch.equal(tensor, was[field]) for field, tensor in factors.trained().items()), name


def test_dylora_trains_only_the_drawn_block() -> None:
    base = toy_base()
    adapter = trained_adapter(base, algorithm="dylora", rank=4, conv_rank=4, options=DyloraOptions(block=2))
    bank = AdapterBank(base, [adapter], trainable=True)
    x, t = torch.randn(2, 8, 8, 8), torch.randn(2, 10)
    seen = set()
    for seed in range(8):
        bank.vary(torch.Generator().manual_seed(seed))
        with bank.attached():
            output = base.denoiser(x, t)
        parameters = bank.factors("unet")
        downs, ups = parameters[0::2], parameters[1::2]
        gradients = torch.autograd.grad(output.square().sum(), parameters)
        live = {tuple((g.flatten(1).abs().sum(1) > 0).tolist()) for g in gradients[0::2]}
        assert len(live) == 1, "one rank for all layers"
        (rows,) = live
        seen.add(rows)
        for g in gradients[1::2]:
            assert tuple((g.flatten(1).abs().sum(0) > 0).tolist()) == rows
        assert len(downs) == len(ups) == 10
        # What acts is the adapter cut to its first ranks, at the scale of the whole.
        rank = 2 if rows[0] else 4
        layers = {
            name: LoraFactors(f.down[:rank], f.up[:, :rank], f.scale * rank)
            for name, f in ((name, cast(LoraFactors, f)) for name, f in adapter.layers.items())
        }
        with torch.no_grad(), AdapterBank(base, [Adapter("cut", layers, {})]).attached():
            torch.testing.assert_close(output.detach(), base.denoiser(x, t), rtol=1e-4, atol=1e-5)
    assert seen == {(True, True, False, False), (False, False, True, True)}


def test_rank_stabilised_scale_is_alpha_over_the_root() -> None:
    plain, stabilised = fresh(), fresh(rank_stabilised=True)
    name = "lora_unet_attention_attn1_to_q"
    one, other = (cast(LoraFactors, adapter.layers[name]) for adapter in (plain, stabilised))
    assert one.scale == 0.5
    assert other.scale == 1.0
    assert float(other.to_tensors()["alpha"]) == 4.0


def test_norms_are_named_as_lycoris_names_them() -> None:
    base = toy_base()
    names = {name for name, target in base.layers.items() if target.kind == "norm"}
    assert names == {
        "lora_unet_resnet_norm1",
        "lora_unet_resnet_norm2",
        "lora_unet_attention_norm",
        "lora_unet_attention_norm1",
        "lora_unet_attention_norm3",
        "lora_unet_conv_norm_out",
    }
    assert all(isinstance(base.module(name), (nn.GroupNorm, nn.LayerNorm)) for name in names)
