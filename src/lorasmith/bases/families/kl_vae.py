"""The VAE of Flux and Z-Image as it is published for ComfyUI, in the layout of Stability's training code or in
diffusers': its structure, and where weights lie. Importable without torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lorasmith.bases.families.evidence import Shapes
from lorasmith.bases.families.original import Source, vae_sources

_ORIGINAL, _DIFFUSERS = "encoder.down.{}.block.{}.conv1.weight", "encoder.down_blocks.{}.resnets.{}.conv1.weight"
"""A weight of a level's layer, whose outputs are the level's width: in the training code's layout, in diffusers'."""


def latent_channels(shapes: Shapes, start: str = "") -> int | None:
    """The channels of its latents, of a VAE whose keys begin so; None for what is none."""
    first = shapes.get(f"{start}decoder.conv_in.weight", ())
    known = any(f"{start}{layer.format(0, 0)}" in shapes for layer in (_ORIGINAL, _DIFFUSERS))
    return first[1] if known and len(first) == 4 else None


def kl_vae_config(shapes: Shapes, start: str = "") -> dict[str, Any]:
    """The configuration of diffusers' AutoencoderKL; scale and shift are Flux's, a file does not say. Raises
    KeyError."""
    layer = f"{start}{_ORIGINAL if f'{start}{_ORIGINAL.format(0, 0)}' in shapes else _DIFFUSERS}"
    widths: list[int] = []
    while (key := layer.format(len(widths), 0)) in shapes:
        widths.append(shapes[key][0])
    layers = next(at for at in range(len(shapes)) if layer.format(0, at) not in shapes)
    return {
        "block_out_channels": tuple(widths),
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "layers_per_block": layers,
        "latent_channels": shapes[f"{start}decoder.conv_in.weight"][1],
        "norm_num_groups": 32,
        "scaling_factor": 0.3611,
        "shift_factor": 0.1159,
        "use_quant_conv": any(key.startswith(f"{start}quant_conv.") for key in shapes),
        "use_post_quant_conv": any(key.startswith(f"{start}post_quant_conv.") for key in shapes),
        "force_upcast": True,
    }


def kl_vae_sources(
    keys: Collection[str], config: Mapping[str, Any], shapes: Shapes, start: str, file: Path | None
) -> dict[str, Source]:
    """diffusers key of the AutoencoderKL -> its place in a file with these shapes."""
    if f"{start}{_DIFFUSERS.format(0, 0)}" in shapes:
        return {key: Source(f"{start}{key}", file=file) for key in keys}
    return vae_sources(keys, len(config["block_out_channels"]), start, file)
