"""Anima as ComfyUI keeps it: transformer and conditioner in one file, Qwen3 and the VAE in files beside it.

Key maps as in diffusers' `convert_anima_to_diffusers.py` and kohya's `library/anima_utils.py`. Importable without
torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.bases.families.anima_layers import checkpoint_key
from lorasmith.bases.families.beside import Wanted, find_beside
from lorasmith.bases.families.evidence import Evidence, Shapes, TextStructure
from lorasmith.bases.families.family import Family, Structure
from lorasmith.bases.families.original import Source
from lorasmith.bases.families.qwen import count_blocks, inside, qwen_config, qwen_start
from lorasmith.bases.families.wan_vae import wan_vae_config, wan_vae_keys
from lorasmith.errors import BaseError

STARTS = ("net.", "model.diffusion_model.", "")
"""How keys begin: of the published files and kohya's, of ComfyUI's whole checkpoints, of what other tools save."""
_QUERY, _CONDITIONER = "blocks.0.self_attn.q_proj.weight", "llm_adapter."
_QWEN_FILE, _VAE_FILE = "qwen_3_06b_base.safetensors", "qwen_image_vae.safetensors"


def start_of(shapes: Shapes) -> str | None:
    """How the keys of an Anima's file begin; None when it is none."""
    return next(
        (each for each in STARTS if f"{each}{_QUERY}" in shapes and f"{each}{_CONDITIONER}embed.weight" in shapes), None
    )


def examine_file(family: Family, evidence: Evidence) -> Structure:
    """The parts of a base in one file and those beside it. Raises BaseError."""
    start = start_of(evidence.shapes) or ""
    try:
        denoiser = _transformer_config(inside(evidence.shapes, start))
        conditioner = _conditioner_config(inside(evidence.shapes, f"{start}{_CONDITIONER}"))
        beside = _find_parts(evidence.path, conditioner["source_dim"], denoiser["in_channels"])
        qwen = beside.qwen.shapes
        texts = (
            TextStructure(family.text[0].owner, qwen_config(inside(qwen, qwen_start(qwen) or ""))),
            TextStructure(family.text[1].owner, conditioner),
        )
        return Structure(family, denoiser, wan_vae_config(beside.vae.shapes), texts, evidence=evidence)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as fault:
        raise BaseError(
            f"is like an Anima checkpoint, but another structure or incomplete: {fault} is not as it should be.",
            where=evidence.path,
            hint="Take the file as it is published, or the model's diffusers folder.",
        ) from None


def _transformer_config(shapes: Shapes) -> dict[str, Any]:
    """As diffusers' "Cosmos-2.0-Diffusion-2B-Text2Image", with the file's depth and widths."""
    width, inputs = shapes["x_embedder.proj.1.weight"]
    head = shapes["blocks.0.self_attn.q_norm.weight"][0]
    return {
        "in_channels": inputs // 4 - 1,  # of patches of 2 x 2, with the padding's mask
        "out_channels": shapes["final_layer.linear.weight"][0] // 4,
        "num_attention_heads": width // head,
        "attention_head_dim": head,
        "num_layers": count_blocks(shapes, "blocks."),
        "mlp_ratio": shapes["blocks.0.mlp.layer1.weight"][0] / width,
        "text_embed_dim": shapes["blocks.0.cross_attn.k_proj.weight"][1],
        "adaln_lora_dim": shapes["blocks.0.adaln_modulation_self_attn.1.weight"][0],
        "max_size": (128, 240, 240),
        "patch_size": (1, 2, 2),
        "rope_scale": (1.0, 4.0, 4.0),
        "concat_padding_mask": True,
        "extra_pos_embed_type": None,
    }


def _conditioner_config(shapes: Shapes) -> dict[str, Any]:
    width = shapes[_QUERY][0]
    vocabulary, target = shapes["embed.weight"]
    layers = count_blocks(shapes, "blocks.")
    return {
        "source_dim": shapes["blocks.0.cross_attn.k_proj.weight"][1],
        "target_dim": target,
        "model_dim": width,
        "num_layers": layers,
        "num_hidden_layers": layers,
        "num_attention_heads": width // shapes["blocks.0.self_attn.q_norm.weight"][0],
        "target_vocab_size": vocabulary,
    }


@dataclass(frozen=True)
class Beside:
    """The files of the parts that an Anima's file does not hold."""

    qwen: Evidence
    vae: Evidence


def beside_of(structure: Structure) -> Beside:
    """What lies beside a file that was examined. Raises BaseError when it is gone."""
    width = structure.text[1].config["source_dim"]
    return _find_parts(structure.evidence.path, width, structure.denoiser["in_channels"])


def _find_parts(path: Path, width: int, channels: int) -> Beside:
    """Qwen3 of this width and a VAE of so many channels. Raises BaseError."""
    text = Wanted(("qwen", width), f"text encoder, a Qwen3 of width {width}", _QWEN_FILE, "06b")
    vae = Wanted(("wan vae", channels), f"VAE, one of Qwen-Image with {channels} channels", _VAE_FILE, "qwen")
    return Beside(*find_beside(path, (text, vae)))


def file_sources(structure: Structure, owner: str, keys: Collection[str]) -> Mapping[str, Source]:
    """Where the weights of a part lie in its file."""
    start, texts = start_of(structure.evidence.shapes) or "", structure.family.text
    if owner == structure.family.denoiser_part:
        return {key: Source(f"{start}{checkpoint_key(key)}") for key in keys}
    if owner == texts[1].owner:
        return {key: Source(f"{start}{_CONDITIONER}{key}") for key in keys}
    beside = beside_of(structure)
    if owner == "vae":
        found = wan_vae_keys(keys, structure.vae)
        return {key: Source(stored, file=beside.vae.path) for key, stored in found.items()}
    start = qwen_start(beside.qwen.shapes) or ""
    return {key: Source(f"{start}{key}", file=beside.qwen.path) for key in keys}
