"""What a single-file checkpoint of Stable Diffusion is made of, by the keys and shapes in its header.

The block structure is the family's, the widths are the file's. Nothing goes by the file's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lorasmith.bases.families.evidence import Evidence, Prediction, Shapes, TextStructure
from lorasmith.bases.families.foreign import foreign
from lorasmith.bases.families.original import UNET, VAE
from lorasmith.container import Header
from lorasmith.errors import BaseError

HEAD_WIDTH = 64  # of every attention but those of SD 1's UNet, which has 8 heads
WHOLE = "Give the whole checkpoint, or the model's diffusers folder."
SUPPORTED = "Supported: plain SD 1, SD 2 and SDXL models."
_CHANNELS = {9: "an inpainting model", 8: "an editing model (InstructPix2Pix)", 7: "an upscaler", 5: "a depth model"}


@dataclass(frozen=True)
class StoredText:
    """Where a family's files keep a text encoder: its part, the beginning of its keys, its spelling, and how many of
    its last layers are not used (and so not loaded, as in diffusers)."""

    owner: str
    start: str
    spelling: Literal["clip", "open_clip"]
    unused: int = 0


def check_parts(evidence: Evidence) -> None:
    """Raises BaseError that names what is missing or another model's."""
    shapes, where = evidence.shapes, evidence.path
    fault = foreign(evidence, SUPPORTED)
    if fault is not None:
        raise fault
    first = shapes.get(f"{UNET}input_blocks.0.0.weight")
    if first is None or len(first) != 4:
        raise BaseError("is no checkpoint of Stable Diffusion: it has no UNet.", where=where, hint=WHOLE)
    if first[1] != 4:
        what = _CHANNELS.get(first[1], "another kind of model")
        raise BaseError(f"is {what}: its UNet takes {first[1]} channels.", where=where, hint=SUPPORTED)
    if not any(key.startswith(VAE) for key in shapes):
        raise BaseError("holds no VAE.", where=where, hint="Take a version of the model with its VAE baked in.")


def unet_config(shapes: Shapes, public: Mapping[str, Any], heads: int | None, side: int) -> dict[str, Any]:
    """The configuration of diffusers' UNet2DConditionModel, with the blocks of the `public` models' and the file's
    widths; `heads` of each attention, None when their width is the same."""

    def shape(key: str) -> tuple[int, ...]:
        return shapes[f"{UNET}{key}"]

    kinds = public["down_block_types"]
    widths = tuple(shape(f"input_blocks.{1 + 3 * level}.0.in_layers.2.weight")[0] for level in range(len(kinds)))
    attention = f"input_blocks.{1 + 3 * next(i for i, kind in enumerate(kinds) if kind.startswith('CrossAttn'))}.1"
    return {
        "sample_size": side,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": widths,
        "layers_per_block": 2,
        # NOTE: diffusers means the number of heads by it.
        "attention_head_dim": tuple(heads or max(1, width // HEAD_WIDTH) for width in widths),
        "cross_attention_dim": shape(f"{attention}.transformer_blocks.0.attn2.to_k.weight")[1],
        "use_linear_projection": len(shape(f"{attention}.proj_in.weight")) == 2,
        **{key: public[key] for key in ("down_block_types", "up_block_types")},
        **{key: public[key] for key in ("transformer_layers_per_block",) if key in public},
    }


def vae_config(shapes: Shapes, side: int, scale: float, upcast: bool) -> dict[str, Any]:
    """The configuration of diffusers' AutoencoderKL."""
    widths = tuple(shapes[f"{VAE}encoder.down.{level}.block.0.conv1.weight"][0] for level in range(4))
    return {
        "block_out_channels": widths,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "latent_channels": shapes[f"{VAE}post_quant_conv.weight"][0],
        "norm_num_groups": 32,
        "sample_size": side,
        "scaling_factor": scale,
        "force_upcast": upcast,
    }


def text_structure(shapes: Shapes, stored: StoredText) -> TextStructure:
    """One text encoder's configuration, in either spelling."""
    return _clip(shapes, stored) if stored.spelling == "clip" else _open_clip(shapes, stored)


def _clip(shapes: Shapes, stored: StoredText) -> TextStructure:
    inner = f"{stored.start}text_model."
    prefix = inner if any(key.startswith(inner) for key in shapes) else stored.start
    config = _text_config(
        shapes[f"{prefix}embeddings.token_embedding.weight"],
        shapes[f"{prefix}embeddings.position_embedding.weight"],
        _count(shapes, f"{prefix}encoder.layers."),
        shapes[f"{prefix}encoder.layers.0.mlp.fc1.weight"],
    )
    return TextStructure(stored.owner, config | {"hidden_act": "quick_gelu"}, "clip", prefix, "<|endoftext|>")


def _open_clip(shapes: Shapes, stored: StoredText) -> TextStructure:
    prefix = stored.start
    config = _text_config(
        shapes[f"{prefix}token_embedding.weight"],
        shapes[f"{prefix}positional_embedding"],
        _count(shapes, f"{prefix}transformer.resblocks.") - stored.unused,
        shapes[f"{prefix}transformer.resblocks.0.mlp.c_fc.weight"],
    )
    if not stored.unused:
        config["projection_dim"] = shapes[f"{prefix}text_projection"][1]
    return TextStructure(stored.owner, config | {"hidden_act": "gelu"}, "open_clip", prefix, "!")


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


def read_prediction(header: Header, where: Path) -> tuple[Prediction | None, bool]:
    """What the file says that it predicts, and whether its noise ends in pure noise (zero terminal SNR).

    In order: the marks ``v_pred`` and ``ztsnr`` that web UIs look for, modelspec in the metadata, the ``.yaml`` beside
    the file.
    """
    zero_snr = "ztsnr" in header.tensors
    if "v_pred" in header.tensors:
        return "v_prediction", zero_snr
    stated = _PREDICTIONS.get(header.metadata.get("modelspec.prediction_type", "").lower())
    if stated is None and header.metadata.get("modelspec.architecture", "").startswith("stable-diffusion-v2-768-v"):
        stated = "v_prediction"
    return stated or _beside(where), zero_snr


def _beside(where: Path) -> Prediction | None:
    """The ``parameterization`` in a configuration with the checkpoint's name, as web UIs read it."""
    try:
        text = where.with_suffix(".yaml").read_text("utf-8")[:100_000]
    except (OSError, ValueError):
        return None
    import yaml

    try:
        params = yaml.safe_load(text)["model"]["params"]
        return _PREDICTIONS.get(str(params.get("parameterization", "eps")))
    except (ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError, RecursionError):
        return None
