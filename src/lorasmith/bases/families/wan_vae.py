"""The VAE of Qwen-Image as it is published for ComfyUI, in the layout of Wan's: its structure, and where weights lie.

Key maps as in diffusers' `convert_wan_vae_to_diffusers`. Importable without torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from lorasmith.bases.families.evidence import Shapes

_ENDS = (
    # How keys begin in diffusers' model, and in the file.
    ("quant_conv.", "conv1."),
    ("post_quant_conv.", "conv2."),
    *(
        (f"{half}.{ours}", f"{half}.{stored}")
        for half in ("encoder", "decoder")
        for ours, stored in (
            ("conv_in.", "conv1."),
            ("norm_out.", "head.0."),
            ("conv_out.", "head.2."),
            ("mid_block.resnets.0.", "middle.0."),
            ("mid_block.attentions.0.", "middle.1."),
            ("mid_block.resnets.1.", "middle.2."),
        )
    ),
    ("encoder.down_blocks.", "encoder.downsamples."),
)
_RESNET = {
    "norm1": "residual.0",
    "conv1": "residual.2",
    "norm2": "residual.3",
    "conv2": "residual.6",
    "conv_shortcut": "shortcut",
}
_UP = re.compile(r"decoder\.up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)\.(.+)")
FIRST = "decoder.upsamples.0.residual.2.weight"
CHANNELS = "conv2.weight"


def wan_vae_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of diffusers' AutoencoderKLQwenImage, by the encoder's layers in their order; the means and
    deviations of its latents are Qwen-Image's, which are the class's own. Raises KeyError."""
    base, (z_dim, *_) = shapes["encoder.conv1.weight"][0], shapes[CHANNELS]
    widths: list[int] = []
    resnets: list[int] = [0]
    temporal: list[bool] = []
    for at in range(1 + max(int(key.split(".")[2]) for key in shapes if key.startswith("encoder.downsamples."))):
        start = f"encoder.downsamples.{at}"
        if f"{start}.resample.1.weight" in shapes:
            temporal.append(f"{start}.time_conv.weight" in shapes)
            resnets.append(0)
            continue
        if not resnets[-1]:
            widths.append(shapes[f"{start}.residual.2.weight"][0])
        resnets[-1] += 1
    if len(set(resnets)) > 1:
        raise ValueError("the number of its VAE's layers in each block")
    return {
        "base_dim": base,
        "z_dim": z_dim,
        "dim_mult": [width // base for width in widths],
        "num_res_blocks": resnets[0],
        "temperal_downsample": temporal,
    }


def wan_vae_keys(keys: Collection[str], config: Mapping[str, Any]) -> dict[str, str]:
    """Key of diffusers' AutoencoderKLQwenImage -> key in the file."""
    block = int(config["num_res_blocks"]) + 2  # one resnet more than in the encoder, and what enlarges
    return {key: _stored(key, block) for key in keys}


def _stored(key: str, block: int) -> str:
    up = _UP.fullmatch(key)
    if up is not None:
        at = int(up[1]) * block + (int(up[3]) if up[2] == "resnets" else block - 1)
        return _resnet(f"decoder.upsamples.{at}.{up[4]}")
    for ours, stored in _ENDS:
        if key.startswith(ours):
            return _resnet(f"{stored}{key.removeprefix(ours)}")
    return key


def _resnet(key: str) -> str:
    head, _, kind = key.rpartition(".")
    parent, _, module = head.rpartition(".")
    return f"{parent}.{_RESNET[module]}.{kind}" if module in _RESNET and parent.count(".") >= 1 else key
