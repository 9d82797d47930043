"""What the bank costs: a LoRA training step beside the frozen base and PEFT, and a batch with eight adapters.

The same random UNet of 25M parameters in the SD 1 shape, float32; rank 8 on the 80 linear layers of its
attentions, batch 1, 32x32 latents, forward and backward (the frozen base with a gradient to its input). Where the
processor multiplies matrices of bf16, the same with a base in bf16, as `precision = "bf16"` trains it. Then, without
gradients, eight different adapters, one per row of a batch of eight, beside the bare base. A full run takes about two
minutes on two cores.

Run: python -m benchmarks.adapter_step [--quick]
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor

from benchmarks.timing import alternate, machine, ratio_line
from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base
from lorasmith.bases.families import find_family
from lorasmith.bases.families.unet_layers import unet_targets
from lorasmith.bases.hardware import suit_to_cpu
from lorasmith.diffusion.parametrisation import parametrisation_from_config

RANK = 8
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


def small_unet() -> UNet2DConditionModel:
    """25M parameters: SD 1's blocks, narrower and one layer each."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(64, 128, 256, 256),
        layers_per_block=1,
        cross_attention_dim=768,
        attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    )
    return unet.eval().requires_grad_(False)


def base_of(unet: UNet2DConditionModel) -> Base:
    """A base of a denoiser alone; only its attentions' linear layers are targets, as PEFT is told below."""
    targets = {
        target.name: target
        for target in unet_targets(unet.config, stability_names=False)
        if target.path.endswith(ATTENTION)
    }
    schedule = parametrisation_from_config({"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"})
    return Base("bench", Path(), find_family("sd1"), unet, (), None, schedule, 256, targets)


def adapters(base: Base, count: int) -> list[Adapter]:
    return [
        new_adapter(
            base,
            name=f"a{k}",
            rank=RANK,
            alpha=RANK,
            text_encoder=False,
            generator=torch.Generator().manual_seed(k),
        )
        for k in range(count)
    ]


def inputs(batch: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 4, 32, 32, generator=generator)
    return x, torch.full((batch,), 500), torch.randn(batch, 77, 768, generator=generator)


def step_of(
    unet: Callable[..., tuple[Tensor]], parameters: Sequence[Tensor], dtype: torch.dtype = torch.float32
) -> Callable[[], None]:
    """One forward and backward; with no parameters the gradient goes to the input."""
    x, t, hidden = inputs(1)
    x, hidden = x.to(dtype), hidden.to(dtype)

    def step() -> None:
        start = x.clone().requires_grad_(not parameters)
        loss = unet(start, t, encoder_hidden_states=hidden, return_dict=False)[0].float().square().mean()
        torch.autograd.grad(loss, parameters or [start])

    return step


def training(rounds: int) -> dict[str, float]:
    """Median seconds of a step: frozen base, PEFT, the bank; the bank on a base in bf16 where that is fast."""
    unet = small_unet()
    base = base_of(unet)
    bank = AdapterBank(base, adapters(base, 1), trainable=True)
    peft_unet = copy.deepcopy(unet)
    inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(ATTENTION)), peft_unet)
    theirs = [parameter for parameter in peft_unet.parameters() if parameter.requires_grad]
    assert sum(p.numel() for p in theirs) == sum(p.numel() for p in bank.parameters())
    print(f"{sum(p.numel() for p in unet.parameters()) / 1e6:.1f}M parameters, {len(base.targets)} layers")
    sides = {"frozen": step_of(unet, ()), "peft": step_of(peft_unet, theirs), "bank": banked(bank)}
    if multiplies_bf16():
        half = copy.deepcopy(unet).bfloat16()
        suit_to_cpu(half)
        half_base = base_of(half)
        sides["bank, bf16"] = banked(AdapterBank(half_base, adapters(half_base, 1), trainable=True))
    return alternate(sides, rounds)


def banked(bank: AdapterBank) -> Callable[[], None]:
    """The bank's step."""
    step = step_of(bank.base.denoiser, bank.factors("unet"), bank.base.dtype)

    def run() -> None:
        with bank.attached():
            step()

    return run


def multiplies_bf16() -> bool:
    """Whether the processor has instructions that multiply matrices of bf16."""
    tell: Any = getattr(torch.cpu, "get_capabilities", dict)  # torch 2.11 and later tell
    return bool(tell().get("amx_bf16"))


@torch.inference_mode()
def mixed_batch(rounds: int) -> dict[str, float]:
    """Median seconds of a forward pass of eight rows: bare, eight adapters, eight passes of one row each."""
    unet = small_unet()
    base = base_of(unet)
    bank = AdapterBank(base, adapters(base, 8))
    bank.set_strengths(torch.eye(8))
    single = AdapterBank(base, adapters(base, 1))
    (x, t, hidden), (x_1, t_1, hidden_1) = inputs(8), inputs(1)

    def bare() -> None:
        unet(x, t, hidden)

    def mixed() -> None:
        with bank.attached():
            unet(x, t, hidden)

    def one_by_one() -> None:
        with single.attached():
            for _ in range(8):
                unet(x_1, t_1, hidden_1)

    return alternate({"bare": bare, "mixed": mixed, "one by one": one_by_one}, rounds)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    quick = parser.parse_args(argv).quick
    print(machine(), f"{torch.get_num_threads()} threads")
    step = training(5 if quick else 40)
    batch = mixed_batch(2 if quick else 15)
    for word, seconds in (*step.items(), *batch.items()):
        print(f"{word:>12}: {1000 * seconds:.0f} ms")
    print(ratio_line("bank LoRA step / frozen base", step["bank"] / step["frozen"], at_most=1.05))
    print(ratio_line("bank LoRA step / PEFT LoRA step", step["bank"] / step["peft"], at_most=1.0))
    if "bank, bf16" in step:
        print(ratio_line("bank LoRA step, bf16 base / float32", step["bank, bf16"] / step["bank"], at_most=1.0))
    else:
        print("bf16: this processor does not multiply matrices of it; not measured")
    print(ratio_line("eight adapters in a batch / bare base", batch["mixed"] / batch["bare"], at_most=1.05))
    print(ratio_line("eight adapters in a batch / one by one", batch["mixed"] / batch["one by one"], at_most=1.0))


if __name__ == "__main__":
    main()
