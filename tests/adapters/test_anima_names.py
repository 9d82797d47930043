"""Anima's layers at true size, in every tool's spelling; what diffusers makes of our files, and we of theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.files import load_adapter
from lorasmith.adapters.spelling.names import origin_of, with_own_names
from lorasmith.bases.families.anima import ANIMA
from lorasmith.bases.targets import TargetLayer

LAYERS = ANIMA.public_layers()


def in_comfyui(layer: TargetLayer) -> str:
    if layer.owner == "transformer":
        return f"diffusion_model.{layer.aliases[0]}"
    if layer.owner == "text_conditioner":
        return f"diffusion_model.llm_adapter.{layer.path}"
    return f"text_encoders.qwen3_06b.transformer.model.{layer.path}"


SPELLINGS: dict[str, Callable[[TargetLayer], str]] = {
    "kohya": lambda layer: layer.name,
    "comfyui": in_comfyui,
    "diffusers": lambda layer: f"{layer.owner}.{layer.path}",
}


def tensors(spelling: str, words: tuple[str, str], alpha: bool) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for layer in LAYERS.values():
        wide = 1024 if layer.path.endswith(("attn2.to_k", "attn2.to_v")) else 8
        start = SPELLINGS[spelling](layer)
        found |= {f"{start}.{words[0]}.weight": torch.ones(1, wide), f"{start}.{words[1]}.weight": torch.ones(8, 1)}
        if alpha:
            found[f"{start}.alpha"] = torch.tensor(1.0)
    return found


def test_there_are_280_targets_of_28_layers_and_the_model_has_them() -> None:
    from diffusers import CosmosTransformer3DModel

    config = {"num_layers": 28, "num_attention_heads": 16, "extra_pos_embed_type": None}
    with torch.device("meta"):
        model = CosmosTransformer3DModel(**config)
    own = [each for each in ANIMA.targets({"num_layers": 28}, (28, 6)).values() if each.owner == "transformer"]
    assert len(own) == 280
    inside = {
        name
        for name, each in model.named_modules()
        if isinstance(each, nn.Linear) and (".attn" in name or ".ff." in name)
    }
    assert {each.path for each in own} == inside
    linear = {name for name, each in model.named_modules() if isinstance(each, nn.Linear)}
    assert {each.path for each in LAYERS.values() if each.owner == "transformer"} == linear


@pytest.mark.parametrize("alpha", [True, False])
@pytest.mark.parametrize("words", [("lora_down", "lora_up"), ("lora_A", "lora_B")])
@pytest.mark.parametrize("spelling", list(SPELLINGS))
def test_every_spelling_is_read(tmp_path: Path, spelling: str, words: tuple[str, str], alpha: bool) -> None:
    save_file(tensors(spelling, words, alpha), tmp_path / "a.safetensors")
    adapter: Adapter = load_adapter(tmp_path / "a.safetensors")
    assert origin_of(adapter).family is ANIMA
    assert with_own_names(adapter).layers.keys() == LAYERS.keys()
