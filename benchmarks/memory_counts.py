"""What a training step holds in memory in the true shapes, counted on the meta device, beside what `plan` says.

LoRA of rank 16 on attention and MLP, one row, the base in bf16, attention as fused kernels save it (queries, keys,
values, output, and a number a query and head). Nothing is computed, so that nothing is measured: these are counts.

Run: python -m benchmarks.memory_counts [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from diffusers import (
    AnimaTextConditioner,
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    CosmosTransformer3DModel,
    Flux2Transformer2DModel,
    UNet2DConditionModel,
    ZImageTransformer2DModel,
)
from torch import Tensor, nn
from torch.autograd import Function
from torch.utils.checkpoint import checkpoint
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, Qwen3Config, Qwen3Model

from benchmarks.roofline import SHAPES
from benchmarks.timing import ratio_line
from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base
from lorasmith.bases.compressed import compressible_layers
from lorasmith.bases.families import find_family
from lorasmith.bases.families.family import Family
from lorasmith.bases.framing import frame_whole
from lorasmith.bases.text.context import Context
from lorasmith.diffusion.parametrisation import Flow
from lorasmith.recipe.memory import Memory, memory_of
from lorasmith.recipe.recipe import Recipe

RANK = 16
FAMILIES = ("sd1", "sdxl", "anima", "zimage", "klein")
SIDES = (512, 768, 1024)
_TEXT = {"sd1": (77, 768), "sdxl": (77, 2048), "anima": (512, 1024), "zimage": (128, 2560), "klein": (512, 7680)}
"""Tokens that the denoiser reads of a caption, and their width."""
KL: dict[str, Any] = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
KL |= {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}
ANIMA: dict[str, Any] = {
    "in_channels": 16,
    "out_channels": 16,
    "num_attention_heads": 16,
    "attention_head_dim": 128,
    "num_layers": 28,
    "mlp_ratio": 4.0,
    "text_embed_dim": 1024,
    "adaln_lora_dim": 256,
    "max_size": (128, 240, 240),
    "patch_size": (1, 2, 2),
    "rope_scale": (1.0, 4.0, 4.0),
    "concat_padding_mask": True,
    "extra_pos_embed_type": None,
}
"""The transformer of the public model."""


@dataclass(frozen=True)
class Counted:
    """Numbers of parameters, of the blocks among them, and of the adapter; bytes saved in a step of a row with all
    activations kept, and with what is left where each block computes its own again (of them `largest` at once)."""

    denoiser: int
    text: int
    vae: int
    blocks: int
    block_weights: int
    small_denoiser: int
    small_text: int
    adapter: int
    saved: dict[int, int]
    checkpointed: dict[int, int]
    largest: dict[int, int]


class _Attention(Function):
    """What fused attention keeps."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = torch.empty(*q.shape[:-1], v.shape[-1], dtype=q.dtype, device=q.device)
        ctx.save_for_backward(q, k, v, out, torch.empty(q.shape[:-1], dtype=torch.float32, device=q.device))
        return out

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, *_ = ctx.saved_tensors
        return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


_attention: Any = _Attention.apply


def _attend(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
    return _attention(query, key, value)  # type: ignore[no-any-return]


@contextmanager
def counted_bytes(frozen: set[int]) -> Iterator[list[int]]:
    """Bytes that autograd keeps for the backward pass, each storage once, without the frozen weights."""
    seen, total = set(frozen), [0]
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        key = tensor.untyped_storage()._cdata
        if key not in seen:
            seen.add(key)
            kept.append(tensor)  # else its place could be given to another
            total[0] += tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total


def _parts(family: str) -> tuple[Any, list[Any], Any]:
    """Denoiser, text encoders and VAE of the public model, without memory."""
    with torch.device("meta"):
        clip = CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12))
        if family in ("sd1", "sdxl"):
            shape = SHAPES["SDXL at 1024x1024" if family == "sdxl" else "SD 1.5 at 512x512"]
            denoiser = UNet2DConditionModel(in_channels=4, out_channels=4, **shape)
            big = CLIPTextConfig(
                hidden_size=1280,
                intermediate_size=5120,
                num_hidden_layers=32,
                num_attention_heads=20,
                projection_dim=1280,
            )
            texts = [clip, CLIPTextModelWithProjection(big)] if family == "sdxl" else [clip]
            return denoiser, texts, AutoencoderKL(latent_channels=4, **KL)
        qwen = {"vocab_size": 151936, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128}
        if family == "anima":
            denoiser = CosmosTransformer3DModel(**ANIMA)
            config = Qwen3Config(**qwen, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28)
            return denoiser, [Qwen3Model(config), AnimaTextConditioner()], AutoencoderKLQwenImage()
        qwen |= {"num_attention_heads": 32}
        config = Qwen3Config(**qwen, hidden_size=2560, intermediate_size=9728, num_hidden_layers=36)
        if family == "klein":
            denoiser = Flux2Transformer2DModel(
                num_layers=5,
                num_single_layers=20,
                num_attention_heads=24,
                joint_attention_dim=7680,
                guidance_embeds=False,
            )
            return denoiser, [Qwen3Model(config)], AutoencoderKLFlux2()
        return ZImageTransformer2DModel(), [Qwen3Model(config)], AutoencoderKL(latent_channels=16, **KL)


def count(family: str, sides: Sequence[int] = SIDES) -> Counted:
    """The counts of a family's public model."""
    denoiser, texts, vae = _parts(family)
    denoiser = denoiser.bfloat16().eval().requires_grad_(False)
    if family == "anima":
        from lorasmith.bases.families.anima_parts import ready

        denoiser = ready(denoiser)
    kind = find_family(family)
    depths = [len(list(next(m for m in text.modules() if isinstance(m, nn.ModuleList)))) for text in texts]
    targets = kind.targets(denoiser.config, depths)
    base = Base("shape", Path(), kind, denoiser, (), vae, Flow(1.0), kind.resolution, targets)
    adapter = new_adapter(
        base,
        name="a",
        rank=RANK,
        alpha=RANK,
        text_encoder=False,
        groups=("attention", "mlp"),
        generator=torch.Generator(device="cpu"),
    )
    layers = {
        name: factors.with_trained({field: tensor.to("meta") for field, tensor in factors.trained().items()})
        for name, factors in adapter.layers.items()
    }
    bank = AdapterBank(base, [replace(adapter, layers=layers)], trainable=True)
    blocks = kind.blocks(denoiser)
    saved, checkpointed, largest = {}, {}, {}
    for side in sides:
        saved[side], _ = _step(base, bank, side, again=False)
        checkpointed[side], largest[side] = _step(base, bank, side, again=True)
    return Counted(
        denoiser=_numbers(denoiser),
        text=sum(map(_numbers, texts)),
        vae=_numbers(vae),
        blocks=len(blocks),
        block_weights=sum(map(_numbers, blocks)),
        small_denoiser=_small(denoiser, kind),
        small_text=sum(_small(text, kind) for text in texts),
        adapter=sum(each.numel() for each in bank.parameters()),
        saved=saved,
        checkpointed=checkpointed,
        largest=largest,
    )


def _small(model: nn.Module, family: Family) -> int:
    """Weights that take a byte each where they are kept compressed."""
    return sum(layer.weight.numel() for _, layer in compressible_layers(model, family.kept_wide))  # type: ignore[operator, misc]


def _numbers(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _step(base: Base, bank: AdapterBank, side: int, *, again: bool) -> tuple[int, int]:
    """Bytes that a forward pass saves; `again`: where each block computes its own again, and the most of one."""
    family, tokens = base.family, _TEXT[base.family.name]
    shape = base.latent_shape((side, side))
    frozen = {each.untyped_storage()._cdata for each in (*base.denoiser.parameters(), *bank.parameters())}
    most = [0]

    def run(module: Any, *args: Any) -> Any:
        with counted_bytes(frozen) as own:
            call = module.__call__ if isinstance(module, nn.Module) else module
            output = call(*args)
        del output
        most[0] = max(most[0], own[0])
        return checkpoint(call, *args, use_reentrant=False)

    with torch.device("meta"):
        x_t, t = torch.empty(1, *shape, dtype=torch.bfloat16), torch.empty(1)
        hidden = torch.empty(1, *tokens, dtype=torch.bfloat16)
        context = Context({"hidden": hidden, "pooled": torch.empty(1, 1280, dtype=torch.bfloat16)})
        fused = mock.patch("torch.nn.functional.scaled_dot_product_attention", _attend)
        # A mask on the meta device has no values; here no text is padded.
        whole = mock.patch.object(torch.Tensor, "__bool__", return_value=True)
        recomputing = family.recomputing(base.denoiser, run) if again else nullcontext()
        with fused, whole, bank.attached(), recomputing, counted_bytes(frozen) as kept:
            output = family.denoise(base, x_t, t, context, [frame_whole((side, side))])
            output.float().square().mean()
    return kept[0], most[0]


def planned(family: str, side: int, *, again: bool) -> Memory:
    """What `plan` says of the same step."""
    recipe = Recipe.model_validate(
        {"epochs": 1, "precision": "bf16", "rank": RANK, "batch_size": 1, "checkpointing": again, "resolution": side}
        | {"preserve": {"kind": "none"}, "lr": {"unet": 1e-4, "text_encoder": 0}}
    )
    # A recipe knows its base's family by what lies there; here nothing does.
    recipe.__dict__["cost"] = find_family(family).cost
    return memory_of(recipe, side * side)


def shares(family: str, counted: Counted) -> dict[str, float]:
    """What is counted, as a part of what is planned."""
    side = next(iter(counted.saved))
    told = planned(family, side, again=False)
    found = {
        "denoiser": 2 * counted.denoiser / told.denoiser,
        "text": 2 * counted.text / told.text,
        "vae": 2 * counted.vae / told.vae,
        "adapter": 4 * counted.adapter / told.adapter,
        "optimizer": 8 * counted.adapter / told.optimizer,  # AdamW: two numbers of fp32 a parameter
    }
    for side, kept in counted.saved.items():
        found[f"activations at {side}"] = kept / planned(family, side, again=False).activations
        again = counted.checkpointed[side] + counted.largest[side]
        found[f"checkpointed at {side}"] = again / planned(family, side, again=True).activations
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="SD 1 alone")
    quick = parser.parse_args(argv).quick
    for family in ("sd1",) if quick else FAMILIES:
        counted = count(family)
        print(family, counted)
        found = shares(family, counted)
        for what, share in found.items():
            print(f"  {what}: counted / planned = {share:.3f}")
        worst = max(max(share, 1 / share) for share in found.values())
        print(ratio_line(f"{family}: counted and planned bytes, the farthest apart", worst, at_most=1.05))


if __name__ == "__main__":
    main()
