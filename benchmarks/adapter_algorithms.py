"""What training each algorithm costs: a step with ours, with PEFT and with lycoris-lora, beside the frozen base.

A random UNet of 25M parameters in the SD 1 shape, float32; rank 8 on all its linear layers and convolutions (3x3
convolutions too), batch 1, 32x32 latents, forward and backward; the frozen base with a gradient to its input. Medians
of alternating rounds, freed blocks kept for all sides as our training loop does. lycoris runs as it does by default, on
the same layers. Saved activations: bytes of distinct tensors kept for the backward pass, parameters left out. A full
run takes about two minutes on two cores. `--processor` takes processor seconds of one thread in place of the clock's:
for machines whose cores others want, too.

Run: python -m benchmarks.adapter_algorithms [--quick] [--processor] [--only lora,lokr,loha,dora]
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from peft import LoHaConfig, LoKrConfig, LoraConfig, inject_adapter_in_model
from torch import Tensor

from benchmarks.adapter_step import inputs, small_unet
from benchmarks.timing import alternate, machine, ratio_line
from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base
from lorasmith.bases.families import find_family
from lorasmith.bases.families.unet_layers import unet_targets
from lorasmith.diffusion.parametrisation import parametrisation_from_config
from lorasmith.training.steps.memory import kept_blocks

RANK = 8
GOALS = {"lora": (1.22, 1.5), "lokr": (1.50, 1.2), "loha": (1.65, 1.3)}
"""Ours / frozen at most, lycoris / ours at least."""
Step = Callable[[], None]


def base_of(unet: UNet2DConditionModel) -> Base:
    """A base of a denoiser alone, with all its targets."""
    targets = {target.name: target for target in unet_targets(unet.config, stability_names=False)}
    schedule = parametrisation_from_config({"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"})
    return Base("bench", Path(), find_family("sd1"), unet, (), None, schedule, 256, targets)


def step_of(unet: Any, parameters: Sequence[Tensor]) -> Step:
    """One forward and backward; with no parameters the gradient goes to the input."""
    x, t, hidden = inputs(1)

    def step() -> None:
        start = x.clone().requires_grad_(not parameters)
        loss = unet(start, t, encoder_hidden_states=hidden, return_dict=False)[0].square().mean()
        torch.autograd.grad(loss, parameters or [start], allow_unused=True)

    return step


def ours(unet: UNet2DConditionModel, algorithm: str) -> tuple[Step, AdapterBank]:
    """The bank's step."""
    base = base_of(unet)
    adapter = new_adapter(
        base,
        name="a",
        algorithm=algorithm,
        rank=RANK,
        alpha=RANK,
        conv_rank=RANK,
        text_encoder=False,
        generator=torch.Generator().manual_seed(0),
    )
    bank = AdapterBank(base, [adapter], trainable=True)
    step = step_of(unet, bank.factors("unet"))

    def banked() -> None:
        with bank.attached():
            step()

    return banked, bank


def pefts(unet: UNet2DConditionModel, algorithm: str) -> Step:
    """PEFT's step on the same layers."""
    paths = [target.path for target in base_of(unet).targets.values()]
    configs: Mapping[str, Callable[[], Any]] = {
        "lora": lambda: LoraConfig(r=RANK, lora_alpha=RANK, target_modules=paths),
        "dora": lambda: LoraConfig(r=RANK, lora_alpha=RANK, target_modules=paths, use_dora=True),
        "loha": lambda: LoHaConfig(r=RANK, alpha=RANK, target_modules=paths),
        "lokr": lambda: LoKrConfig(r=RANK, alpha=RANK, target_modules=paths),
    }
    own = copy.deepcopy(unet)
    inject_adapter_in_model(configs[algorithm](), own)
    return step_of(own, [parameter for parameter in own.parameters() if parameter.requires_grad])


def lycoris_step(unet: UNet2DConditionModel, algorithm: str) -> Step:
    """lycoris's step on the same layers, its modules as its network makes them by default."""
    from lycoris.modules import LoConModule, LohaModule, LokrModule

    kind, values = {
        "lora": (LoConModule, {}),
        "dora": (LoConModule, {"weight_decompose": True}),
        "loha": (LohaModule, {}),
        "lokr": (LokrModule, {}),
    }[algorithm]
    own = copy.deepcopy(unet)
    modules = []
    for target in base_of(own).targets.values():
        layer = own.get_submodule(target.path)
        module = kind(target.name, layer, lora_dim=RANK, alpha=RANK, **values)
        module.apply_to()
        modules.append(module)
    return step_of(own, [parameter for module in modules for parameter in module.parameters()])


def saved_bytes(step: Step, parameters: Iterable[Tensor]) -> int:
    """Bytes kept for the backward pass, without parameters, the adapter's among them: these are there anyway."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", default="lora,lokr,loha,dora", help="algorithms, with commas")
    parser.add_argument("--processor", action="store_true", help="processor seconds of one thread")
    chosen = parser.parse_args(argv)
    if chosen.processor:
        torch.set_num_threads(1)
    clock = time.process_time if chosen.processor else time.perf_counter
    print(machine(), f"{torch.get_num_threads()} threads", "processor seconds" if chosen.processor else "")
    unet = small_unet()
    frozen = step_of(unet, ())
    lines: list[str] = []
    bare = saved_bytes(frozen, unet.parameters())
    assert bare, "the frozen base keeps activations"
    for algorithm in chosen.only.split(","):
        own, bank = ours(unet, algorithm)
        sides = {
            "frozen": frozen,
            "ours": own,
            "peft": pefts(unet, algorithm),
            "lycoris": lycoris_step(unet, algorithm),
        }
        with kept_blocks():
            seconds = alternate(sides, 1 if chosen.quick else 15, clock=clock)
        print(f"{algorithm:>6}: " + ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in seconds.items()))
        at_most, at_least = GOALS.get(algorithm, (1.5, 1.2))
        lines += [
            ratio_line(f"{algorithm} step / frozen base", seconds["ours"] / seconds["frozen"], at_most=at_most),
            ratio_line(f"{algorithm} step / PEFT's", seconds["ours"] / seconds["peft"], at_most=1.0),
            ratio_line(f"lycoris's {algorithm} step / ours", seconds["lycoris"] / seconds["ours"], at_least=at_least),
        ]
        if algorithm == "lora":
            saved = saved_bytes(own, (*unet.parameters(), *bank.parameters()))
            lines.append(ratio_line("lora saved activations / frozen base", saved / bare, at_most=1.25))
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
