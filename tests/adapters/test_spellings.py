"""Other tools' keys, turned into kohya's."""

from __future__ import annotations

import json

import pytest
import torch

from lorasmith.adapters.spelling.reading import read_spelling

UNET = "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0"
TEXT = "lora_te_text_model_encoder_layers_3"
PATH = "down_blocks.0.attentions.1.transformer_blocks.0"
LAYER_3 = "text_model.encoder.layers.3"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"unet.{PATH}.attn1.to_q.lora_A.weight", f"{UNET}_attn1_to_q.lora_down.weight"),
        (f"unet.{PATH}.attn1.to_q.lora_B.default.weight", f"{UNET}_attn1_to_q.lora_up.weight"),
        (f"unet.{PATH}.attn2.to_out.0.lora.up.weight", f"{UNET}_attn2_to_out_0.lora_up.weight"),
        (f"unet.{PATH}.attn1.processor.to_k_lora.down.weight", f"{UNET}_attn1_to_k.lora_down.weight"),
        (f"unet.{PATH}.attn1.processor.to_out_lora.up.weight", f"{UNET}_attn1_to_out_0.lora_up.weight"),
        (f"unet.{PATH}.ff.net.0.proj.lora.down.weight", f"{UNET}_ff_net_0_proj.lora_down.weight"),
        (f"unet.{PATH}.attn1.to_q.alpha", f"{UNET}_attn1_to_q.alpha"),
        (f"base_model.model.unet.{PATH}.attn1.to_q.lora_A.weight", f"{UNET}_attn1_to_q.lora_down.weight"),
        (f"base_model.model.{PATH}.attn1.to_q.lora_A.weight", f"{UNET}_attn1_to_q.lora_down.weight"),
        (f"text_encoder.{LAYER_3}.self_attn.q_proj.lora_A.weight", f"{TEXT}_self_attn_q_proj.lora_down.weight"),
        (
            f"text_encoder.{LAYER_3}.self_attn.v_proj.lora_linear_layer.up.weight",
            f"{TEXT}_self_attn_v_proj.lora_up.weight",
        ),
        (
            f"text_encoder.{LAYER_3}.self_attn.to_out_lora.down.weight",
            f"{TEXT}_self_attn_out_proj.lora_down.weight",
        ),
        (f"text_encoder.{LAYER_3}.mlp.fc1.lora_linear_layer.down.weight", f"{TEXT}_mlp_fc1.lora_down.weight"),
        (
            f"text_encoder_2.{LAYER_3}.mlp.fc2.lora_B.weight",
            "lora_te2_text_model_encoder_layers_3_mlp_fc2.lora_up.weight",
        ),
    ],
)
def test_keys(key: str, expected: str) -> None:
    assert list(read_spelling({key: torch.ones(1)}, {}, "file").tensors) == [expected]


def test_kohya_keys_pass_through() -> None:
    tensors = {f"{UNET}_attn1_to_q.lora_down.weight": torch.ones(1)}
    read = read_spelling(tensors | {"anything.else": torch.ones(1)}, {}, "file")
    assert read.tensors == tensors
    assert read.unknown == ("anything.else",)


def test_alpha_comes_from_the_configuration_of_peft() -> None:
    config = {"unet.lora_alpha": 8, "unet.alpha_pattern": {f"{PATH}.attn2.to_k": 3}, "text_encoder.lora_alpha": 2}
    paths = (f"unet.{PATH}.attn1.to_q", f"unet.{PATH}.attn2.to_k", f"text_encoder.{LAYER_3}.mlp.fc1")
    tensors = {f"{path}.lora_A.weight": torch.ones(1) for path in paths}
    read = read_spelling(tensors, {"lora_adapter_metadata": json.dumps(config)}, "file").tensors
    alphas = {key: float(tensor) for key, tensor in read.items() if key.endswith("alpha")}
    assert alphas == {f"{UNET}_attn1_to_q.alpha": 8, f"{UNET}_attn2_to_k.alpha": 3, f"{TEXT}_mlp_fc1.alpha": 2}


@pytest.mark.parametrize("metadata", [{}, {"lora_adapter_metadata": "no json"}, {"lora_adapter_metadata": "[]"}])
def test_without_a_configuration_there_is_no_alpha(metadata: dict[str, str]) -> None:
    key = f"unet.{PATH}.attn1.to_q.lora_A.weight"
    assert len(read_spelling({key: torch.ones(1)}, metadata, "file").tensors) == 1


def test_unknown_endings_are_listed() -> None:
    tensors = {f"unet.{PATH}.attn1.to_q.lora_A.weight": torch.ones(1), "unet.conv_in.weight": torch.ones(1)}
    assert read_spelling(tensors, {}, "file").unknown == ("unet.conv_in.weight",)
