"""Single-file checkpoints in the original layout: all keys and the true block structure of a family, small widths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from lorasmith.bases.checkpoint import empty_models, part_sources
from lorasmith.bases.families import find_family
from lorasmith.bases.families.evidence import TextStructure
from lorasmith.bases.families.family import Structure
from lorasmith.bases.families.original import Source

CLIP, OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
SDXL_CLIP, SDXL_OPEN_CLIP = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."

SD: dict[str, Any] = {
    "sample_size": 64,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}
SDXL: dict[str, Any] = {
    "sample_size": 128,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
}
TRUE: dict[str, dict[str, Any]] = {
    "sd1": {
        "unet": {
            "block_out_channels": (320, 640, 1280, 1280),
            "attention_head_dim": (8,) * 4,
            "cross_attention_dim": 768,
        },
        "clip": (768, 12, 3072, 12),
    },
    "sd2": {
        "unet": {
            "block_out_channels": (320, 640, 1280, 1280),
            "attention_head_dim": (5, 10, 20, 20),
            "cross_attention_dim": 1024,
        },
        "open_clip": (1024, 23, 4096, 16),
    },
    "sdxl": {
        "unet": {
            "block_out_channels": (320, 640, 1280),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        "clip": (768, 12, 3072, 12),
        "open_clip": (1280, 32, 5120, 20),
    },
}
SMALL: dict[str, dict[str, Any]] = {
    "sd1": {
        "unet": {"block_out_channels": (32, 64, 128, 128), "attention_head_dim": (8,) * 4, "cross_attention_dim": 64},
        "clip": (64, 2, 96, 1),
    },
    "sd2": {
        "unet": {
            "block_out_channels": (64, 128, 192, 192),
            "attention_head_dim": (1, 2, 3, 3),
            "cross_attention_dim": 64,
        },
        "open_clip": (64, 2, 96, 1),
    },
    "sdxl": {
        "unet": {
            "block_out_channels": (32, 64, 128),
            "attention_head_dim": (1, 1, 2),
            "cross_attention_dim": 128,
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 64 + 48,
        },
        "clip": (64, 2, 96, 1),
        "open_clip": (64, 2, 96, 1),
    },
}


def anatomy_of(family: str, sizes: Mapping[str, Any], vae: tuple[int, ...] = (32, 64, 64, 64)) -> Structure:
    """A family's anatomy with the given widths: what its papers and public configurations say."""
    xl = family == "sdxl"
    shared = SDXL if xl else SD | {"use_linear_projection": family == "sd2"}
    texts = []
    if "clip" in sizes:
        start = SDXL_CLIP if xl else CLIP
        config = text_config(*sizes["clip"]) | {"hidden_act": "quick_gelu"}
        texts.append(TextStructure("text_encoder", config, "clip", f"{start}text_model.", "<|endoftext|>"))
    if "open_clip" in sizes:
        config = text_config(*sizes["open_clip"]) | {"hidden_act": "gelu"}
        owner, prefix = ("text_encoder_2", SDXL_OPEN_CLIP) if xl else ("text_encoder", OPEN_CLIP)
        texts.append(TextStructure(owner, config, "open_clip", prefix, "!"))
    return Structure(
        family=find_family(family),
        denoiser=shared | sizes["unet"],
        vae={
            "block_out_channels": vae,
            "down_block_types": ("DownEncoderBlock2D",) * 4,
            "up_block_types": ("UpDecoderBlock2D",) * 4,
            "layers_per_block": 2,
            "latent_channels": 4,
            "norm_num_groups": 32,
            "sample_size": 1024 if xl else 512,
            "scaling_factor": 0.13025 if xl else 0.18215,
            "force_upcast": xl,
        },
        text=tuple(texts),
        prediction=None,
        zero_snr=False,
    )


def text_config(width: int, layers: int, mlp: int, heads: int) -> dict[str, Any]:
    return {
        "vocab_size": 49408,
        "hidden_size": width,
        "intermediate_size": mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": 77,
        "projection_dim": width,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 49407,
    }


def original_tensors(anatomy: Structure, seed: int | None = 0) -> dict[str, Tensor]:
    """A checkpoint's tensors: random ones, or with `seed` None shapes without memory.

    Layers that the models leave out (SD 2's last text layer) and keys that nobody reads are there too.
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    if anatomy.family.name == "sd2":
        text = anatomy.text[0]
        more = dict(text.config) | {"num_hidden_layers": text.config["num_hidden_layers"] + 1}
        anatomy = replace(anatomy, text=(replace(text, config=more),))
    tensors: dict[str, Tensor] = {}
    for part, model in empty_models(anatomy).items():
        state = model.state_dict()
        for key, source in part_sources(anatomy, part, model).items():
            put(tensors, source, random_weight(key, tuple(state[key].shape), generator))
    for key in ("model_ema.decay", "betas", f"{CLIP}text_model.embeddings.position_ids"):
        if anatomy.family.name == "sd1":
            tensors[key] = torch.zeros(1)
    if anatomy.family.name != "sd1":
        tensors[f"{anatomy.text[-1].prefix}logit_scale"] = torch.zeros(())
    return tensors


def random_weight(key: str, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    if generator is None:
        return torch.empty(shape, device="meta")
    weight = torch.randn(shape, generator=generator) * 0.05
    return weight + 1 if "norm" in key and key.endswith(".weight") else weight


def put(tensors: dict[str, Tensor], source: Source, weight: Tensor) -> None:
    """The inverse of `Source.take`."""
    weight = weight.T.contiguous() if source.turned else weight
    weight = weight[:, :, None, None] if source.flattened else weight
    if source.third is None:
        tensors[source.key] = weight
        return
    rows = weight.shape[0]
    if source.key not in tensors:
        tensors[source.key] = weight.new_empty((3 * rows, *weight.shape[1:]))
    tensors[source.key][source.third * rows : (source.third + 1) * rows] = weight


def write_checkpoint(
    path: Path,
    family: str,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    metadata: Mapping[str, str] | None = None,
    more: Mapping[str, Tensor] | None = None,
) -> Path:
    """A small checkpoint of the family."""
    tensors = original_tensors(anatomy_of(family, SMALL[family]), seed)
    halved = {key: tensor.to(dtype).contiguous() for key, tensor in tensors.items()}
    save_file({**halved, **(more or {})}, path, dict(metadata or {}))
    return path
