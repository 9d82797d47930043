"""Adapter files of other tools, with true names and widths: one small layer each, and what is strange about it."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

Tensors = dict[str, Tensor]
PEFT = ("lora_A", "lora_B")
BLOCK = "input_blocks.4.1.transformer_blocks.0.attn2.to_k"
KOHYA = "lora_unet_" + BLOCK.replace(".", "_")
DIFFUSERS = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
KNOWN = {"unet.r": 4, "unet.lora_alpha": 8, "unet.use_rslora": False, "unet.alpha_pattern": {}}


def lora(
    name: str,
    inputs: int,
    outputs: int,
    names: tuple[str, str] = ("lora_down", "lora_up"),
    alpha: float | None = 4.0,
    rank: int = 4,
) -> Tensors:
    """A layer's two factors, all 0.01, and its alpha."""
    tensors = {
        f"{name}.{names[0]}.weight": torch.full((rank, inputs), 0.01),
        f"{name}.{names[1]}.weight": torch.full((outputs, rank), 0.01),
    }
    return tensors | ({f"{name}.alpha": torch.tensor(alpha)} if alpha is not None else {})


def peft_facts(**values: Any) -> dict[str, str]:
    """The metadata of diffusers' files: PEFT's configuration of the UNet, with these values."""
    config = KNOWN | {f"unet.{key}": value for key, value in values.items()}
    return {"format": "pt", "lora_adapter_metadata": json.dumps(config)}


SGM = lora(KOHYA, 2048, 640)
DOTTED = lora(DIFFUSERS, 2048, 640, PEFT, alpha=None)
FILES: Mapping[str, tuple[Tensors, dict[str, str] | None]] = {
    "kohya_sgm": (SGM, None),
    "diffusers": (DOTTED, None),
    "rslora": (DOTTED, peft_facts(use_rslora=True)),
    "alpha_pattern": (DOTTED, peft_facts(alpha_pattern={r".*attn2\.to_[kv]": 1})),
    "te2_text_projection": (SGM | lora("lora_te2_text_projection", 1280, 1280), None),
    "time_embed": (SGM | lora("lora_unet_time_embed_0", 320, 1280, alpha=None), None),
    "label_emb": (SGM | lora("lora_unet_label_emb_0_0", 2816, 1280), None),
    "conv_in": (
        SGM
        | {
            "lora_unet_input_blocks_0_0.lora_down.weight": torch.full((4, 4, 3, 3), 0.01),
            "lora_unet_input_blocks_0_0.lora_up.weight": torch.full((320, 4, 1, 1), 0.01),
            "lora_unet_input_blocks_0_0.alpha": torch.tensor(4.0),
        },
        None,
    ),
    "bundled_embedding": (
        SGM | {"bundle_emb.ann.clip_l": torch.zeros(2, 768), "bundle_emb.ann.clip_g": torch.zeros(2, 1280)},
        None,
    ),
    "fp8": ({key: tensor.to(torch.float8_e4m3fn) for key, tensor in SGM.items()}, None),
    "comfy": (lora(f"diffusion_model.{BLOCK}", 2048, 640), None),
    "onetrainer_comfy": (lora(f"diffusion_model.{BLOCK}", 2048, 640, PEFT), None),
    "onetrainer_internal": (lora("unet.output_blocks.5.1.transformer_blocks.1.ff.net.2", 2560, 640), None),
    "lycoris_prefix": ({key.replace("lora_unet", "lycoris"): tensor for key, tensor in SGM.items()}, None),
    "peft_lora_bias": (DOTTED | {f"{DIFFUSERS}.lora_B.bias": torch.zeros(640)}, None),
    "te1_in_sd1": (lora("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", 768, 768), None),
    "kohya_names_ab": (lora(KOHYA, 2048, 640, PEFT), None),
    "anima_header_sd2_width": (
        lora("lora_unet_transformer_blocks_0_attn2_to_k", 1024, 2048),
        {"ss_base_model_version": "anima"},
    ),
}


def make_adapter(folder: Path, name: str) -> Path:
    """The file of this case."""
    tensors, metadata = FILES[name]
    path = folder / f"{name}.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path, metadata)
    return path


def make_header_of(path: Path, length: int) -> Path:
    """A whole, valid file whose header is so many bytes long (a multiple of 8): a note fills it."""
    tensors = lora("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q", 1280, 1280, rank=1)
    save_file(tensors, path, {"ss_note": ""})
    (least,) = struct.unpack("<Q", path.read_bytes()[:8])
    save_file(tensors, path, {"ss_note": "x" * max(0, length - least)})
    return path
