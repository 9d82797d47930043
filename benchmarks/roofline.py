"""What a LoRA training step asks of a machine: floating-point operations and bytes, counted on the meta device.

SD 1.5 at 512x512 and SDXL at 1024x1024, in their true shapes and without weights; rank 16 on the attentions' linear
layers, one row. Operations: products and convolutions as torch counts them, forward and backward; the adapter's sums
in place are not among them, a hundredth of it. Bytes, three ways:
the weights read once forward and once backward; what is saved between the two; and every operation's inputs and
outputs, as if nothing stayed in a cache and nothing were fused, the most that it can be. In two bytes a number.

From them: intensity (operations per byte), and the rate below which a machine is bound by bytes. A figure that a
machine needs, not one that was measured on it.

Run: python -m benchmarks.roofline [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base
from lorasmith.bases.families import find_family
from lorasmith.bases.families.unet_layers import unet_targets
from lorasmith.diffusion.parametrisation import parametrisation_from_config

RANK = 16
BYTES = 2
"""Of a number in bfloat16 or float16."""
SHAPES: dict[str, dict[str, Any]] = {
    "SD 1.5 at 512x512": {
        "sample_size": 64,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    "SDXL at 1024x1024": {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}


@dataclass(frozen=True)
class Cost:
    """Of one step of one row: operations; bytes of the weights, of what is saved, and of all operations' operands."""

    forward: int
    total: int
    weights: int
    saved: int
    traffic: int


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the numbers that operations read and write; views are free."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.numbers += sum(tensor.numel() for tensor in _tensors((args, kwargs, result)))
        return result


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


@contextmanager
def counted_saves(frozen: set[int]) -> Iterator[list[int]]:
    """The numbers that autograd keeps for the backward pass, each storage once, without the frozen weights."""
    seen: set[int] = set(frozen)
    numbers = [0]

    def pack(tensor: Tensor) -> Tensor:
        key = tensor.untyped_storage()._cdata
        if key not in seen:
            seen.add(key)
            numbers[0] += tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield numbers


def count(shape: dict[str, Any]) -> Cost:
    """The cost of a step of a UNet of this shape."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(in_channels=4, out_channels=4, **shape).eval().requires_grad_(False)
        side, width = shape["sample_size"], shape["cross_attention_dim"]
        x, t, hidden = torch.randn(1, 4, side, side), torch.zeros(1), torch.randn(1, 77, width)
        added = {"text_embeds": torch.randn(1, 1280), "time_ids": torch.zeros(1, 6)}
    sdxl = "addition_embed_type" in shape
    targets = {target.name: target for target in unet_targets(unet.config, stability_names=sdxl)}
    schedule = parametrisation_from_config({"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"})
    base = Base("shape", None, find_family("sdxl" if sdxl else "sd1"), unet, (), None, schedule, 8 * side, targets)  # type: ignore[arg-type]
    adapter = new_adapter(
        base,
        name="a",
        rank=RANK,
        alpha=RANK,
        text_encoder=False,
        groups=("attention",),
        generator=torch.Generator(device="cpu"),
    )
    layers = {
        name: factors.with_trained({field: tensor.to("meta") for field, tensor in factors.trained().items()})
        for name, factors in adapter.layers.items()
    }
    bank = AdapterBank(base, [replace(adapter, layers=layers)], trainable=True)

    def forward() -> Tensor:
        more = {"added_cond_kwargs": added} if sdxl else {}
        loss: Tensor = unet(x, t, encoder_hidden_states=hidden, return_dict=False, **more)[0].square().mean()
        return loss

    frozen = {parameter.untyped_storage()._cdata for parameter in (*unet.parameters(), *bank.parameters())}
    with bank.attached():
        with FlopCounterMode(display=False) as first:
            forward()
        with FlopCounterMode(display=False) as both, counted_saves(frozen) as saved:
            forward().backward()  # type: ignore[no-untyped-call]
        traffic = _Traffic()
        with traffic:
            forward().backward()  # type: ignore[no-untyped-call]
    weights = sum(parameter.numel() for parameter in unet.parameters())
    return Cost(
        first.get_total_flops(), both.get_total_flops(), BYTES * weights, BYTES * saved[0], BYTES * traffic.numbers
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="SD 1.5 alone")
    quick = parser.parse_args(argv).quick
    for name, shape in list(SHAPES.items())[: 1 if quick else None]:
        cost = count(shape)
        print(f"{name}, a LoRA step of one row (rank {RANK}, attention):")
        print(f"  forward {cost.forward / 1e12:.2f} TFLOP, forward and backward {cost.total / 1e12:.2f} TFLOP")
        print(f"  weights {cost.weights / 1e9:.2f} GB, saved for the backward pass {cost.saved / 1e9:.2f} GB")
        print(f"  all operands, nothing cached or fused: {cost.traffic / 1e9:.1f} GB")
        print(f"  intensity {cost.total / cost.traffic:.0f} FLOP/byte at the least, ", end="")
        print(f"{cost.total / (2 * cost.weights + 2 * cost.saved):.0f} when each is touched once each way")
        for rows in (1, 4, 16):
            least = 2 * cost.weights + 2 * cost.saved * rows
            print(f"  {rows:>2} rows: weights are {2 * cost.weights / least:.0%} of the least traffic")
        print(f"ratio: {name} forward and backward / forward = {cost.total / cost.forward:.3f} (goal <= 3)")


if __name__ == "__main__":
    main()
