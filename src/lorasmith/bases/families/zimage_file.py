"""Z-Image as ComfyUI keeps it: the transformer in one file, Qwen3-4B and the VAE beside it or in it.

Key maps as in ComfyUI's `z_image_to_diffusers`. Importable without torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lorasmith.bases.families.beside import Wanted, find_beside
from lorasmith.bases.families.evidence import Evidence, Shapes, TextStructure
from lorasmith.bases.families.family import Family, Structure
from lorasmith.bases.families.kl_vae import kl_vae_config, kl_vae_sources, latent_channels
from lorasmith.bases.families.original import Source
from lorasmith.bases.families.qwen import count_blocks, inside, qwen_config, qwen_start
from lorasmith.bases.families.zimage_layers import BOTH, PICTURE, checkpoint_source
from lorasmith.errors import BaseError

_STARTS = ("model.diffusion_model.", "")
"""How keys begin: of whole checkpoints, of files with the transformer alone."""
_OWN = ("layers.0.adaLN_modulation.0.weight", "x_pad_token", "cap_pad_token", "noise_refiner.0.feed_forward.w1.weight")
"""Lumina, whose blocks are called alike, has no tokens of padding, and its modulation another number."""
_FUSED, _QUERY = "layers.0.attention.qkv.weight", "layers.0.attention.to_q.weight"
_QWEN_INSIDE, _VAE_INSIDE = "text_encoders.qwen3_4b.transformer.model.", "vae."
_QWEN_FILE, _VAE_FILE = "qwen_3_4b.safetensors", "ae.safetensors"


def start_of(shapes: Shapes) -> str | None:
    """How the keys of a Z-Image's file begin; None when it is none."""
    return next((each for each in _STARTS if all(f"{each}{key}" in shapes for key in _OWN)), None)


def examine_file(family: Family, evidence: Evidence) -> Structure:
    """The parts of a base in one file, and those beside it. Raises BaseError."""
    shapes = inside(evidence.shapes, start_of(evidence.shapes) or "")
    try:
        denoiser = _transformer_config(shapes)
        parts = _find_parts(evidence, denoiser)
        qwen = qwen_config(inside(parts.qwen.shapes, parts.qwen_start))
        text = (TextStructure(family.text[0].owner, qwen),)
        return Structure(family, denoiser, kl_vae_config(parts.vae.shapes, parts.vae_start), text, evidence=evidence)
    except (KeyError, IndexError, ValueError, ZeroDivisionError, StopIteration) as fault:
        raise BaseError(
            f"is like a Z-Image checkpoint, but another structure or incomplete: {fault} is not as it should be.",
            where=evidence.path,
            hint="Take the file as it is published, or the model's diffusers folder.",
        ) from None


def _transformer_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of diffusers' ZImageTransformer2DModel: the file's depth and widths, the published model's
    axes, of which a head's width is made up."""
    fused = _FUSED in shapes
    width = shapes["x_pad_token"][-1]
    head = shapes[f"layers.0.attention.{'q_norm' if fused else 'norm_q'}.weight"][0]
    return {
        "all_patch_size": (2,),
        "all_f_patch_size": (1,),
        "in_channels": shapes["x_embedder.weight" if fused else "all_x_embedder.2-1.weight"][1] // 4,
        "dim": width,
        "n_layers": count_blocks(shapes, f"{BOTH}."),
        "n_refiner_layers": count_blocks(shapes, f"{PICTURE}."),
        "n_heads": width // head,
        "n_kv_heads": width // head,
        "cap_feat_dim": shapes["cap_embedder.1.weight"][1],
        "axes_dims": (head // 4, head * 3 // 8, head * 3 // 8),
        "axes_lens": (1536, 512, 512),
    }


@dataclass(frozen=True)
class FileParts:
    """Where Qwen3 and the VAE lie, and how their keys begin there."""

    qwen: Evidence
    qwen_start: str
    vae: Evidence
    vae_start: str


def parts_of(structure: Structure) -> FileParts:
    """Where the parts of a file lie that was examined. Raises BaseError when one is gone."""
    return _find_parts(structure.evidence, structure.denoiser)


def _find_parts(evidence: Evidence, denoiser: Mapping[str, Any]) -> FileParts:
    width, channels = int(denoiser["cap_feat_dim"]), int(denoiser["in_channels"])
    wanted, own = [], evidence.shapes
    holds_text = qwen_start(own, (_QWEN_INSIDE,)) is not None
    holds_vae = latent_channels(own, _VAE_INSIDE) is not None
    if not holds_text:
        wanted.append(Wanted(("qwen", width), f"text encoder, a Qwen3 of width {width}", _QWEN_FILE, "4b"))
    if not holds_vae:
        wanted.append(Wanted(("vae", channels), f"VAE, one of Flux with {channels} channels", _VAE_FILE, "ae"))
    found = find_beside(evidence.path, wanted)
    qwen = evidence if holds_text else found[0]
    vae = evidence if holds_vae else found[-1]
    return FileParts(
        qwen,
        _QWEN_INSIDE if holds_text else qwen_start(qwen.shapes) or "",
        vae,
        _VAE_INSIDE if holds_vae else "",
    )


def file_sources(structure: Structure, owner: str, keys: Collection[str]) -> Mapping[str, Source]:
    """Where the weights of a part lie in its file."""
    own = structure.evidence
    if owner == structure.family.denoiser_part:
        start = start_of(own.shapes) or ""
        fused = f"{start}{_FUSED}" in own.shapes
        return {key: checkpoint_source(key, start, fused) for key in keys}
    parts = parts_of(structure)
    if owner == "vae":
        file = None if parts.vae is own else parts.vae.path
        return kl_vae_sources(keys, structure.vae, parts.vae.shapes, parts.vae_start, file)
    file = None if parts.qwen is own else parts.qwen.path
    return {key: Source(f"{parts.qwen_start}{key}", file=file) for key in keys}
