"""Anima's layers at true size, in every tool's spelling; what diffusers makes of our files, and we of theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.spelling.names import origin_of, with_own_names
from lorasmith.adapters.surgery.respelling import respell
from lorasmith.bases.base import load_base
from lorasmith.bases.families.anima import ANIMA
from lorasmith.bases.targets import TargetLayer
from tests.adapters.drawing import trained_adapter
from tests.families.anima_models import build_anima, load_pipeline

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


def test_diffusers_takes_what_we_write_and_acts_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load_base(build_anima(tmp_path / "tiny"))
    # Qwen3 is none of the parts that diffusers' loader knows.
    whole = trained_adapter(base, rank=2, alpha=1.0)
    layers = {name: each for name, each in whole.layers.items() if not name.startswith("lora_te_")}
    adapter = replace(whole, layers=layers)
    file, out = save_adapter(tmp_path / "a.safetensors", adapter, torch.float32), tmp_path / "d.safetensors"
    respell(file, out, "diffusers")
    pipeline = load_pipeline(base.folder, monkeypatch)
    pipeline.load_lora_weights(str(out))
    parts = (pipeline.transformer, pipeline.text_conditioner)
    taken = sum(name.endswith("lora_A") for part in parts for name, _ in part.named_modules())
    assert taken == len(layers) == 2 * 10 + 2 * 10
    x_t, t = torch.randn(1, 16, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.4])
    bank = AdapterBank(base, [load_adapter(file)])
    with torch.no_grad(), bank.attached():
        bank.set_strengths(torch.ones(1, 1))
        context = base.encode(["a girl, smile"])
        ours = base.denoise(x_t, t, context)
        theirs = pipeline.transformer(x_t, t, context.hidden, padding_mask=torch.zeros(1, 1, 64, 64), return_dict=False)
    torch.testing.assert_close(ours, theirs[0], rtol=2e-3, atol=2e-3)  # factors in half precision
    with torch.no_grad():
        bare = base.denoise(x_t, t, context)
    assert float((ours - bare).abs().max()) > 0.05
    assert fit_adapter(load_adapter(out), base).layers.keys() == layers.keys()


def test_diffusers_takes_nothing_of_kohya_s_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why a file is converted first: theirs is ignored without an error."""
    base = load_base(build_anima(tmp_path / "tiny"))
    adapter = trained_adapter(base, rank=2, alpha=1.0, text_encoder=False)
    file = save_adapter(tmp_path / "a.safetensors", adapter, torch.float32)
    tensors = {key: each for key, each in load_file(file).items() if not key.endswith("alpha")}
    pipeline = load_pipeline(base.folder, monkeypatch)
    pipeline.load_lora_weights(tensors)
    assert not any("lora" in name for name, _ in pipeline.transformer.named_modules())


def test_comfyui_s_names_are_taken_by_diffusers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load_base(build_anima(tmp_path / "tiny"))
    adapter = trained_adapter(base, rank=2, alpha=1.0, text_encoder=False)
    file, out = save_adapter(tmp_path / "a.safetensors", adapter), tmp_path / "c.safetensors"
    respell(file, out, "comfyui")
    pipeline = load_pipeline(base.folder, monkeypatch)
    pipeline.load_lora_weights(str(out))
    assert sum(name.endswith("lora_A") for name, _ in pipeline.transformer.named_modules()) == len(adapter.layers)
    assert fit_adapter(load_adapter(out), base).layers.keys() == adapter.layers.keys()
