"""FLUX.2-klein as ComfyUI keeps it: the transformer in one file, Qwen3 and the VAE beside it.

Key maps as diffusers' `convert_flux2_transformer_checkpoint_to_diffusers` has them. Importable without torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from lorasmith.bases.families.beside import Wanted, find_beside
from lorasmith.bases.families.evidence import Evidence, Shapes, TextStructure
from lorasmith.bases.families.family import Family, Structure
from lorasmith.bases.families.kl_vae import kl_vae_config, kl_vae_sources
from lorasmith.bases.families.klein_layers import checkpoint_source
from lorasmith.bases.families.original import Source
from lorasmith.bases.families.qwen import count_blocks, inside, qwen_config, qwen_start
from lorasmith.errors import BaseError

_STARTS = ("model.diffusion_model.", "")
"""How keys begin: of whole checkpoints, of files with the transformer alone."""
_OWN = ("double_stream_modulation_img.lin.weight", "single_blocks.0.linear1.weight", "txt_in.weight")
"""FLUX.1 has a modulation in each block."""
_GUIDED = "guidance_in.in_layer.weight"
_VAE_ENDS = {"quant_conv.": "encoder.quant_conv.", "post_quant_conv.": "decoder.post_quant_conv."}
"""Two layers that the training code has inside its encoder and its decoder."""
STATES = 3
"""So many layers of Qwen3 are read, side by side."""


def start_of(shapes: Shapes) -> str | None:
    """How the keys of a FLUX.2-klein's file begin; None when it is none."""
    found = next((each for each in _STARTS if all(f"{each}{key}" in shapes for key in _OWN)), None)
    return None if found is None or f"{found}{_GUIDED}" in shapes else found


def examine_file(family: Family, evidence: Evidence) -> Structure:
    """The parts of a base in one file, and those beside it. Raises BaseError."""
    shapes = inside(evidence.shapes, start_of(evidence.shapes) or "")
    try:
        denoiser = _transformer_config(shapes)
        qwen, vae = _find_parts(evidence, denoiser)
        text = (TextStructure(family.text[0].owner, qwen_config(inside(qwen.shapes, qwen_start(qwen.shapes) or ""))),)
        return Structure(family, denoiser, _vae_config(vae.shapes), text, evidence=evidence)
    except (KeyError, IndexError, ValueError, ZeroDivisionError, StopIteration) as fault:
        raise BaseError(
            f"is like a FLUX.2-klein checkpoint, but another structure or incomplete: {fault} is not as it should be.",
            where=evidence.path,
            hint="Take the file as it is published, or the model's diffusers folder.",
        ) from None


def _transformer_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of diffusers' Flux2Transformer2DModel: the file's depths and widths, and the four axes of which
    a head's width is made up, as published."""
    width, channels = shapes["img_in.weight"]
    head = shapes["double_blocks.0.img_attn.norm.query_norm.scale"][0]
    return {
        "patch_size": 1,
        "in_channels": channels,
        "num_layers": count_blocks(shapes, "double_blocks."),
        "num_single_layers": count_blocks(shapes, "single_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["txt_in.weight"][1],
        "timestep_guidance_channels": shapes["time_in.in_layer.weight"][1],
        "mlp_ratio": shapes["double_blocks.0.img_mlp.2.weight"][1] / width,
        "axes_dims_rope": (head // 4,) * 4,
        "rope_theta": 2000,
        "guidance_embeds": False,
    }


def _vae_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of diffusers' AutoencoderKLFlux2."""
    config = kl_vae_config(shapes)
    taken = ("block_out_channels", "down_block_types", "up_block_types", "layers_per_block", "latent_channels")
    config = {key: config[key] for key in taken}
    if len(shapes["bn.running_mean"]) != 1:
        raise ValueError("bn.running_mean")
    for key in ("quant_conv", "post_quant_conv"):
        config[f"use_{key}"] = any(f"{each}weight" in shapes for each in (f"{key}.", _VAE_ENDS[f"{key}."]))
    return config


def _find_parts(evidence: Evidence, denoiser: Mapping[str, Any]) -> tuple[Evidence, Evidence]:
    """Where Qwen3 and the VAE lie. Raises BaseError when one is not there."""
    width, channels = denoiser["joint_attention_dim"] // STATES, denoiser["in_channels"] // 4
    published = "qwen_3_4b.safetensors" if width <= 2560 else "qwen_3_8b.safetensors"
    qwen, vae = find_beside(
        evidence.path,
        (
            Wanted(("qwen", width), f"text encoder, a Qwen3 of width {width}", published, "qwen"),
            Wanted(("vae", channels), f"VAE, one of FLUX.2 with {channels} channels", "flux2-vae.safetensors", "flux2"),
        ),
    )
    return qwen, vae


def file_parts(structure: Structure) -> tuple[Evidence, Evidence]:
    """Where Qwen3 and the VAE of a file lie that was examined. Raises BaseError when one is gone."""
    return _find_parts(structure.evidence, structure.denoiser)


def file_sources(structure: Structure, owner: str, keys: Collection[str]) -> Mapping[str, Source]:
    """Where the weights of a part lie in its file."""
    if owner == structure.family.denoiser_part:
        start = start_of(structure.evidence.shapes) or ""
        return {key: checkpoint_source(key, start) for key in keys}
    qwen, vae = file_parts(structure)
    if owner != "vae":
        start = qwen_start(qwen.shapes) or ""
        return {key: Source(f"{start}{key}", file=qwen.path) for key in keys}
    return {**kl_vae_sources(keys, structure.vae, vae.shapes, "", vae.path), **_moved_ends(keys, vae)}


def _moved_ends(keys: Collection[str], vae: Evidence) -> dict[str, Source]:
    return {
        key: Source(stored, file=vae.path)
        for key in keys
        for ours, theirs in _VAE_ENDS.items()
        if key.startswith(ours) and (stored := key.replace(ours, theirs, 1)) in vae.shapes
    }
