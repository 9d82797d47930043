"""What a LoRA training step costs on a flow transformer: beside the frozen base, and beside PEFT on the same model.

A random transformer in Anima's layout, 512 wide and four layers deep, float32; rank 8 on the ten linear layers of
attention and MLP in every block; one row of 512 x 512 pixels (1024 tokens), 512 tokens of text, forward and backward
(the frozen base with a gradient to its input). Processor seconds, which other work on the machine hardly changes.

Run: python -m benchmarks.flow_step [--quick]
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers import CosmosTransformer3DModel
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor

from benchmarks.timing import alternate, machine, ratio_line
from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base
from lorasmith.bases.families import find_family
from lorasmith.bases.families.anima_parts import ready
from lorasmith.diffusion.parametrisation import Flow

RANK, LAYERS, HEADS, SIDE = 8, 4, 4, 64
PATHS = r"transformer_blocks\.\d+\.(attn[12]\.to_(q|k|v|out\.0)|ff\.net\.(0\.proj|2))"


def small_transformer() -> CosmosTransformer3DModel:
    """Anima's layers, heads of 128 and MLP of four times the width."""
    torch.manual_seed(0)
    made = CosmosTransformer3DModel(
        in_channels=16,
        out_channels=16,
        num_attention_heads=HEADS,
        attention_head_dim=128,
        num_layers=LAYERS,
        mlp_ratio=4.0,
        text_embed_dim=1024,
        adaln_lora_dim=256,
        max_size=(128, 240, 240),
        patch_size=(1, 2, 2),
        rope_scale=(1.0, 4.0, 4.0),
        concat_padding_mask=True,
        extra_pos_embed_type=None,
    )
    return ready(made).eval().requires_grad_(False)  # type: ignore[no-any-return]


def step_of(transformer: CosmosTransformer3DModel, parameters: Sequence[Tensor]) -> Callable[[], None]:
    """One forward and backward; with no parameters the gradient goes to the input."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 17, 1, SIDE, SIDE, generator=generator)  # with the padding mask
    hidden, t = torch.randn(1, 512, 1024, generator=generator), torch.tensor([0.5])

    def step() -> None:
        start = x.clone().requires_grad_(not parameters)
        loss = transformer(start, t, hidden, return_dict=False)[0].square().mean()
        torch.autograd.grad(loss, list(parameters) or [start])

    return step


def measure(rounds: int) -> dict[str, float]:
    """Median processor seconds of a step: frozen base, PEFT, the bank."""
    transformer = small_transformer()
    family = find_family("anima")
    targets = family.targets(transformer.config, (0, 0))
    base = Base("bench", Path(), family, transformer, (), None, Flow(1.0), 512, targets)
    adapter = new_adapter(
        base,
        name="a",
        rank=RANK,
        alpha=RANK,
        text_encoder=False,
        groups=("attention", "mlp"),
        generator=torch.Generator().manual_seed(0),
    )
    bank = AdapterBank(base, [adapter], trainable=True)
    peft = copy.deepcopy(transformer)
    inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=PATHS), peft)
    theirs = [parameter for parameter in peft.parameters() if parameter.requires_grad]
    ours = bank.factors("unet")
    assert sum(each.numel() for each in theirs) == sum(each.numel() for each in ours)
    numbers = sum(each.numel() for each in transformer.parameters())
    print(f"{numbers / 1e6:.1f}M parameters, {len(adapter.layers)} layers")
    step = step_of(transformer, ours)

    def banked() -> None:
        with bank.attached():
            step()

    sides = {"frozen": step_of(transformer, ()), "peft": step_of(peft, theirs), "bank": banked}
    return alternate(sides, rounds, clock=time.process_time)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    quick = parser.parse_args(argv).quick
    print(machine(), f"{torch.get_num_threads()} threads")
    spent = measure(3 if quick else 40)
    for word, seconds in spent.items():
        print(f"{word:>8}: {1000 * seconds:.0f} ms of the processor")
    print(ratio_line("flow: LoRA step / frozen base", spent["bank"] / spent["frozen"], at_most=1.10))
    print(ratio_line("flow: LoRA step / PEFT LoRA step", spent["bank"] / spent["peft"], at_most=1.0))


if __name__ == "__main__":
    main()
