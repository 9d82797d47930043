"""Name tables: counts at true size, spellings of both schools, and agreement with the live model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn

from lorasmith.bases.families.unet_layers import text_targets, unet_targets
from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.bases.targets import TargetLayer
from lorasmith.errors import BaseError

SD1: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "attention_head_dim": 8,
    "cross_attention_dim": 768,
}
SDXL: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
ODD: dict[str, Any] = {
    "block_out_channels": (32, 64, 96),
    "layers_per_block": (1, 2, 3),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 3),
    "attention_head_dim": 4,
    "norm_num_groups": 8,
    "cross_attention_dim": 24,
}


def live(config: Mapping[str, Any]) -> UNet2DConditionModel:
    with torch.device("meta"), quiet_libraries():
        return UNet2DConditionModel(**config)


def in_transformers(target: TargetLayer) -> bool:
    return target.group in ("attention", "mlp")


@pytest.mark.parametrize(
    ("config", "stability", "transformers", "everything"), [(SD1, False, 192, 278), (SDXL, True, 722, 788)]
)
def test_counts_at_true_size(config: Mapping[str, Any], stability: bool, transformers: int, everything: int) -> None:
    targets = list(unet_targets(config, stability))
    assert sum(map(in_transformers, targets)) == transformers
    assert len(targets) == everything
    assert len({target.name for target in targets}) == everything


@pytest.mark.parametrize(("layers", "count"), [(12, 72), (32, 192)])
def test_text_encoder_counts(layers: int, count: int) -> None:
    targets = list(text_targets(layers, "lora_te1", "text_encoder"))
    assert len({target.name for target in targets}) == count


@pytest.mark.parametrize("config", [SD1, SDXL, ODD], ids=["sd1", "sdxl", "odd"])
def test_every_layer_of_the_blocks_is_named_with_its_kind(config: Mapping[str, Any]) -> None:
    model = live(config)
    expected = {
        name: _kind(module)
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d)) and name.split("_")[0] in ("down", "mid", "up")
    }
    named = {target.path: target.kind for target in unet_targets(config, False)}
    assert named == expected


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        return "conv1" if module.kernel_size == (1, 1) else "conv3"
    return "linear"


def test_the_first_school_spells_diffusers_paths() -> None:
    names = {target.name for target in unet_targets(SD1, False)}
    assert {
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0",
        "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_0_proj",
        "lora_unet_up_blocks_1_attentions_0_proj_in",
        "lora_unet_down_blocks_1_resnets_0_conv_shortcut",
        "lora_unet_down_blocks_0_downsamplers_0_conv",
        "lora_unet_up_blocks_2_upsamplers_0_conv",
    } <= names


def test_the_second_school_spells_stability_paths() -> None:
    names = {target.name for target in unet_targets(SDXL, True)}
    assert {
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
        "lora_unet_middle_block_1_transformer_blocks_9_ff_net_2",
        "lora_unet_output_blocks_0_1_proj_in",
        "lora_unet_input_blocks_4_0_in_layers_2",
        "lora_unet_input_blocks_4_0_skip_connection",
        "lora_unet_middle_block_2_out_layers_3",
        "lora_unet_output_blocks_8_0_emb_layers_1",
        "lora_unet_input_blocks_3_0_op",
        "lora_unet_output_blocks_2_2_conv",
        "lora_unet_output_blocks_5_2_conv",
    } <= names
    assert not [name for name in names if "input_blocks_9_" in name or "output_blocks_9_" in name]


def test_text_names_keep_text_model() -> None:
    names = [target.name for target in text_targets(2, "lora_te", "text_encoder")]
    assert names[0] == "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    assert names[-1] == "lora_te_text_model_encoder_layers_1_mlp_fc2"


def test_groups() -> None:
    counts = Counter((target.group, target.kind) for target in unet_targets(SD1, False))
    assert counts == {
        ("attention", "linear"): 128,
        ("attention", "conv1"): 32,
        ("mlp", "linear"): 32,
        ("conv", "conv3"): 50,
        ("conv", "conv1"): 14,
        ("time", "linear"): 22,
    }


def test_an_unknown_block_is_refused_by_name() -> None:
    with pytest.raises(BaseError, match="AttnDownBlock2D"):
        list(unet_targets(SD1 | {"down_block_types": ("AttnDownBlock2D",) * 4}, False))
    with pytest.raises(BaseError, match="UNetMidBlock2DSimpleCrossAttn"):
        list(unet_targets(SD1 | {"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}, False))
