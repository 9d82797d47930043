"""The original layout of single-file checkpoints, as tables: where each weight of a model part lies in the file.

Stability's and CompVis's training code named the parts `model.diffusion_model`, `first_stage_model` and
`cond_stage_model` (SD 1 and 2) or `conditioner.embedders.N` (SDXL). Text encoders come in two spellings: CLIP's own
(SD 1, SDXL's first) and OpenCLIP's (SD 2, SDXL's second), which keeps q, k and v of an attention in one matrix.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.bases.families.evidence import TextStructure
from lorasmith.bases.families.unet_layers import unet_blocks

if TYPE_CHECKING:
    from torch import Tensor

UNET, VAE = "model.diffusion_model.", "first_stage_model."


@dataclass(frozen=True)
class Source:
    """Where a weight lies in a file: `third` of the rows of `key` (q, k, v), or all of it; turned round, flattened from
    a 1x1 kernel to a matrix, or `swapped`: its first half of rows behind the second. `file` is where it lies if that is
    not the base's own file."""

    key: str
    third: int | None = None
    turned: bool = False
    flattened: bool = False
    swapped: bool = False
    file: Path | None = None

    def take(self, stored: Tensor) -> Tensor:
        """The weight, a view of the stored tensor; a copy of what is swapped."""
        if self.third is not None:
            rows = stored.shape[0] // 3
            stored = stored[self.third * rows : (self.third + 1) * rows]
        if self.flattened:
            stored = stored.flatten(1)
        if self.swapped:
            stored = stored.roll(stored.shape[0] // 2, 0)
        return stored.T if self.turned else stored


def unet_sources(keys: Collection[str], config: Mapping[str, Any]) -> dict[str, Source]:
    """diffusers key of the UNet -> its place. `keys` are the model's, `config` its configuration."""
    places = dict(_UNET_ENDS)
    for block in unet_blocks(config):
        kind = block.path.rsplit(".", 1)[0].rpartition(".")[2]
        inner = _RESNET if kind == "resnets" else {}
        for module in inner:
            places[f"{block.path}.{module}"] = f"{block.stability}.{inner[module]}"
        if not inner:
            places[block.path] = block.stability
    return {key: Source(f"{UNET}{_placed(key, places)}") for key in keys}


def vae_sources(keys: Collection[str], levels: int, start: str = VAE, file: Path | None = None) -> dict[str, Source]:
    """diffusers key of the AutoencoderKL -> its place; the attention's matrices are 1x1 kernels there."""
    return {
        key: Source(f"{start}{_vae_key(key, levels)}", flattened=bool(_VAE_MATRIX.search(key)), file=file)
        for key in keys
    }


def text_sources(keys: Collection[str], text: TextStructure) -> dict[str, Source]:
    """Key of a text encoder's model -> its place in the file."""
    find = clip_sources if text.spelling == "clip" else open_clip_sources
    return find(keys, text.prefix)


def clip_sources(keys: Collection[str], prefix: str) -> dict[str, Source]:
    """Key of a CLIPTextModel -> its place under `prefix`, which ends in ``text_model.`` in most files."""
    return {key: Source(f"{prefix}{key.removeprefix('text_model.')}") for key in keys}


def open_clip_sources(keys: Collection[str], prefix: str) -> dict[str, Source]:
    """Key of a CLIP text model of transformers -> its place in OpenCLIP's spelling under `prefix`."""
    return {key: _open_clip_source(key.removeprefix("text_model."), prefix) for key in keys}


_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def _placed(key: str, places: Mapping[str, str]) -> str:
    """The key with its longest known beginning replaced."""
    head, tail = key, ""
    while head:
        if head in places:
            return places[head] + tail
        head, _, last = head.rpartition(".")
        tail = f".{last}{tail}"
    raise KeyError(key)


_VAE_MATRIX = re.compile(r"mid_block\.attentions\.0\.(to_q|to_k|to_v|to_out\.0)\.weight$")
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_VAE_RULES = (
    (re.compile(r"^encoder\.down_blocks\.(\d+)\.resnets\.(\d+)\."), r"encoder.down.\1.block.\2."),
    (re.compile(r"^encoder\.down_blocks\.(\d+)\.downsamplers\.0\.conv\."), r"encoder.down.\1.downsample.conv."),
    (re.compile(r"mid_block\.resnets\.0\."), "mid.block_1."),
    (re.compile(r"mid_block\.resnets\.1\."), "mid.block_2."),
    (re.compile(r"\.conv_norm_out\."), ".norm_out."),
    (re.compile(r"\.conv_shortcut\."), ".nin_shortcut."),
)
_VAE_UP = re.compile(r"^decoder\.up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)\.(.*)$")


def _vae_key(key: str, levels: int) -> str:
    for rule, replacement in _VAE_RULES:
        key = rule.sub(replacement, key)
    for module, original in _VAE_ATTENTION.items():
        key = key.replace(f"mid_block.attentions.0.{module}.", f"mid.attn_1.{original}.")
    up = _VAE_UP.match(key)
    if up is not None:
        level = levels - 1 - int(up[1])  # counted from the pixels
        inner = f"block.{up[3]}" if up[2] == "resnets" else "upsample"
        key = f"decoder.up.{level}.{inner}.{up[4]}"
    return key


_OPEN_CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_OPEN_CLIP_ENDS = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}


def _open_clip_source(key: str, prefix: str) -> Source:
    if key == "text_projection.weight":
        return Source(f"{prefix}text_projection", turned=True)
    if key in _OPEN_CLIP_ENDS:
        return Source(f"{prefix}{_OPEN_CLIP_ENDS[key]}")
    layer = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", key)
    if layer is None:
        raise KeyError(key)
    at, module, kind = f"{prefix}transformer.resblocks.{layer[1]}", layer[2], layer[3]
    third = {"self_attn.q_proj": 0, "self_attn.k_proj": 1, "self_attn.v_proj": 2}.get(module)
    if third is not None:
        return Source(f"{at}.attn.in_proj_{kind}", third=third)
    return Source(f"{at}.{_OPEN_CLIP_LAYER[module]}.{kind}")
