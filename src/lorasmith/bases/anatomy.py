"""What a single-file checkpoint is, by the keys and shapes in its header: family, sizes of its parts, prediction.

The block structure is the family's, the widths are the file's. Nothing goes by the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from lorasmith.bases.families import find_family
from lorasmith.bases.families.family import Family
from lorasmith.bases.original import (
    CLIP,
    OPEN_CLIP,
    SDXL_CLIP,
    SDXL_OPEN_CLIP,
    UNET,
    VAE,
    Source,
    clip_sources,
    open_clip_sources,
)
from lorasmith.container import Header
from lorasmith.diffusion.parametrisation import Prediction
from lorasmith.errors import BaseError

HEAD_WIDTH = 64  # of every attention but those of SD 1's UNet, which has 8 heads
SD1_HEADS = 8
_PROJECTION = f"{SDXL_OPEN_CLIP}text_projection"


@dataclass(frozen=True)
class TextAnatomy:
    """One text encoder: `config` for transformers' CLIPTextConfig, its spelling, and where it lies."""

    owner: str
    config: Mapping[str, Any]
    spelling: Literal["clip", "open_clip"]
    prefix: str
    pad: str

    def sources(self, keys: Collection[str]) -> dict[str, Source]:
        """Key of the model -> its place in the file."""
        find = clip_sources if self.spelling == "clip" else open_clip_sources
        return find(keys, self.prefix)


@dataclass(frozen=True)
class Anatomy:
    """A checkpoint's parts as configurations. `prediction` is None when the file does not tell."""

    family: Family
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    text: tuple[TextAnatomy, ...]
    prediction: Prediction | None
    zero_snr: bool


def dissect(header: Header, where: Path) -> Anatomy:
    """What the file with this header is. Raises BaseError naming what it is instead of a base that is supported."""
    shapes = {key: entry.shape for key, entry in header.tensors.items()}
    family = _family(shapes, where)
    try:
        prediction, zero_snr = _prediction(header, where)
        return Anatomy(
            family, _unet(shapes, family), _vae(shapes, family), _texts(shapes, family), prediction, zero_snr
        )
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as fault:
        raise BaseError(
            f"is like an {family} checkpoint, but another structure or incomplete: {fault} is not as it should be.",
            where=where,
            hint="Distilled and pruned models with fewer blocks are not supported.",
        ) from None


Shapes = Mapping[str, tuple[int, ...]]
_PARTS_HINT = "Give the whole checkpoint, or the model's diffusers folder."
_OTHERS: tuple[tuple[str, str, str], ...] = (
    # (pattern of a key, what has one, what to do)
    (
        r"lora_(up|down|A|B)|\.(hada|lokr)_w|oft_blocks|dora_scale",
        "an adapter, not a base",
        "Give the base that it is for.",
    ),
    (r"^control_model\.|^controlnet_", "a ControlNet", ""),
    (r"motion_module", "an AnimateDiff motion module", ""),
    (r"time_stack|time_mixer", "Stable Video Diffusion", ""),
    (r"(^|\.)joint_blocks\.\d", "Stable Diffusion 3", ""),
    (r"(^|\.)double_blocks\.\d", "Flux or another model of its kind", ""),
    (r"(^|\.)double_layers\.\d", "AuraFlow", ""),
    (r"(^|\.)(noise_refiner|cap_embedder)", "Lumina", ""),
    (r"clip_txt_mapper|effnet_mapper|\.channelwise\.", "Stable Cascade", ""),
    (r"^(model\.diffusion_model\.)?(blocks|transformer_blocks|layers)\.\d", "a diffusion transformer", ""),
    (r"noise_augmentor|^embedder\.model\.visual", "Stable Diffusion 2 unCLIP", ""),
    (r"^conditioner\.embedders\.0\.model\.", "the SDXL refiner", "Train on the SDXL base; the refiner is not needed."),
    (r"^down_blocks\.\d|^(unet|text_model|encoder|decoder)\.", "one part of a model", _PARTS_HINT),
)
_CHANNELS = {9: "an inpainting model", 8: "an editing model (InstructPix2Pix)", 7: "an upscaler", 5: "a depth model"}
_SUPPORTED = "Supported: plain SD 1, SD 2 and SDXL models."


def _family(shapes: Shapes, where: Path) -> Family:
    for pattern, what, hint in _OTHERS:
        found = re.compile(pattern)
        if any(found.search(key) for key in shapes):
            raise BaseError(f"is {what}.", where=where, hint=hint or _SUPPORTED)
    first = shapes.get(f"{UNET}input_blocks.0.0.weight")
    if first is None or len(first) != 4:
        raise BaseError("is no checkpoint of Stable Diffusion: it has no UNet.", where=where, hint=_PARTS_HINT)
    if first[1] != 4:
        what = _CHANNELS.get(first[1], "another kind of model")
        raise BaseError(f"is {what}: its UNet takes {first[1]} channels.", where=where, hint=_SUPPORTED)
    if not any(key.startswith(VAE) for key in shapes):
        raise BaseError("holds no VAE.", where=where, hint="Take a version of the model with its VAE baked in.")
    starts = {SDXL_OPEN_CLIP: "sdxl", CLIP: "sd1", OPEN_CLIP: "sd2"}
    name = next((name for start, name in starts.items() if any(key.startswith(start) for key in shapes)), None)
    if name is None:
        raise BaseError("holds no text encoder of a known family.", where=where, hint=_SUPPORTED)
    labelled = f"{UNET}label_emb.0.0.weight" in shapes
    if labelled != (name == "sdxl"):
        what = "conditions that its family does not have" if labelled else "no size conditions, unlike SDXL"
        raise BaseError(f"its UNet takes {what}.", where=where, hint=_SUPPORTED)
    return find_family(name)


def _unet(shapes: Shapes, family: Family) -> dict[str, Any]:
    """The configuration of diffusers' UNet2DConditionModel."""

    def shape(key: str) -> tuple[int, ...]:
        return shapes[f"{UNET}{key}"]

    levels = 3 if family.name == "sdxl" else 4
    widths = tuple(shape(f"input_blocks.{1 + 3 * level}.0.in_layers.2.weight")[0] for level in range(levels))
    attention = "input_blocks.4.1" if family.name == "sdxl" else "input_blocks.1.1"
    heads = (SD1_HEADS,) * levels if family.name == "sd1" else tuple(max(1, width // HEAD_WIDTH) for width in widths)
    config: dict[str, Any] = {
        "sample_size": 128 if family.name == "sdxl" else 64,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": widths,
        "layers_per_block": 2,
        "attention_head_dim": heads,  # NOTE: diffusers means the number of heads by it
        "cross_attention_dim": shape(f"{attention}.transformer_blocks.0.attn2.to_k.weight")[1],
        "use_linear_projection": len(shape(f"{attention}.proj_in.weight")) == 2,
    }
    if family.name != "sdxl":
        return config | {
            "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
            "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        }
    conditions = shape("label_emb.0.0.weight")[1]
    pooled = shapes[_PROJECTION][1]
    return config | {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": (conditions - pooled) // 6,
        "projection_class_embeddings_input_dim": conditions,
    }


def _vae(shapes: Shapes, family: Family) -> dict[str, Any]:
    """The configuration of diffusers' AutoencoderKL."""
    widths = tuple(shapes[f"{VAE}encoder.down.{level}.block.0.conv1.weight"][0] for level in range(4))
    return {
        "block_out_channels": widths,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "latent_channels": shapes[f"{VAE}post_quant_conv.weight"][0],
        "norm_num_groups": 32,
        "sample_size": 1024 if family.name == "sdxl" else 512,
        "scaling_factor": 0.13025 if family.name == "sdxl" else 0.18215,
        "force_upcast": family.name == "sdxl",
    }


def _texts(shapes: Shapes, family: Family) -> tuple[TextAnatomy, ...]:
    if family.name == "sd2":
        # What reaches the UNet is the last layer but one: as in diffusers, the last is not loaded.
        return (_open_clip(shapes, OPEN_CLIP, "text_encoder", unused=1),)
    clip = _clip(shapes, CLIP if family.name == "sd1" else SDXL_CLIP)
    return (clip,) if family.name == "sd1" else (clip, _open_clip(shapes, SDXL_OPEN_CLIP, "text_encoder_2", unused=0))


def _clip(shapes: Shapes, start: str) -> TextAnatomy:
    prefix = f"{start}text_model." if any(key.startswith(f"{start}text_model.") for key in shapes) else start
    config = _text_config(
        shapes[f"{prefix}embeddings.token_embedding.weight"],
        shapes[f"{prefix}embeddings.position_embedding.weight"],
        _count(shapes, f"{prefix}encoder.layers."),
        shapes[f"{prefix}encoder.layers.0.mlp.fc1.weight"],
    )
    return TextAnatomy("text_encoder", config | {"hidden_act": "quick_gelu"}, "clip", prefix, "<|endoftext|>")


def _open_clip(shapes: Shapes, prefix: str, owner: str, unused: int) -> TextAnatomy:
    layers = _count(shapes, f"{prefix}transformer.resblocks.")
    config = _text_config(
        shapes[f"{prefix}token_embedding.weight"],
        shapes[f"{prefix}positional_embedding"],
        layers - unused,
        shapes[f"{prefix}transformer.resblocks.0.mlp.c_fc.weight"],
    )
    if owner == "text_encoder_2":
        config["projection_dim"] = shapes[_PROJECTION][1]
    return TextAnatomy(owner, config | {"hidden_act": "gelu"}, "open_clip", prefix, "!")


def _text_config(
    tokens: tuple[int, ...], positions: tuple[int, ...], layers: int, mlp: tuple[int, ...]
) -> dict[str, Any]:
    vocabulary, width = tokens
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": mlp[0],
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "max_position_embeddings": positions[0],
        "projection_dim": width,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def _count(shapes: Shapes, prefix: str) -> int:
    """The number of layers: one more than the highest index behind the prefix."""
    found = {int(key[len(prefix) :].partition(".")[0]) for key in shapes if key.startswith(prefix)}
    if not found:
        raise KeyError(f"{prefix}0")
    return max(found) + 1


_PREDICTIONS: Mapping[str, Prediction] = {
    "v": "v_prediction",
    "v_prediction": "v_prediction",
    "v-prediction": "v_prediction",
    "eps": "epsilon",
    "epsilon": "epsilon",
}


def _prediction(header: Header, where: Path) -> tuple[Prediction | None, bool]:
    """What the file says that it predicts, and whether its noise ends in pure noise (zero terminal SNR).

    In order: the marks ``v_pred`` and ``ztsnr`` that web UIs look for, modelspec in the metadata, the ``.yaml`` beside
    the file.
    """
    zero_snr = "ztsnr" in header.tensors
    if "v_pred" in header.tensors:
        return "v_prediction", zero_snr
    told = _PREDICTIONS.get(header.metadata.get("modelspec.prediction_type", "").lower())
    if told is None and header.metadata.get("modelspec.architecture", "").startswith("stable-diffusion-v2-768-v"):
        told = "v_prediction"
    return told or _beside(where), zero_snr


def _beside(where: Path) -> Prediction | None:
    """The ``parameterization`` in a configuration with the checkpoint's name, as web UIs read it."""
    try:
        text = where.with_suffix(".yaml").read_text("utf-8")[:100_000]
        params = yaml.safe_load(text)["model"]["params"]
        return _PREDICTIONS.get(str(params.get("parameterization", "eps")))
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError, RecursionError):
        return None
