"""FLUX.2-klein's layers at true size, in every tool's spelling; what diffusers makes of our files, and we of theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.readers import tell_readers
from lorasmith.adapters.spelling.names import origin_of, with_own_names
from lorasmith.adapters.surgery.respelling import Spelling, respell
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families.klein import KLEIN
from lorasmith.bases.targets import TargetLayer
from tests.adapters.drawing import trained_adapter
from tests.families.klein_models import build_klein, load_pipeline

LAYERS = {name: layer for name, layer in KLEIN.public_layers().items() if layer.owner == "transformer"}
BLOCKS = {name: layer for name, layer in LAYERS.items() if layer.group != "ends"}
APART: dict[str, Callable[[TargetLayer], str]] = {
    "ours, kohya's way": lambda layer: layer.name,
    "diffusers": lambda layer: f"transformer.{layer.path}",
    "PEFT": lambda layer: f"base_model.model.{layer.path}",
    "OneTrainer": lambda layer: f"lora_transformer_{layer.path.replace('.', '_')}",
    "LyCORIS": lambda layer: f"lycoris_{layer.path.replace('.', '_')}",
}
IN_ONE: dict[str, Callable[[str], str]] = {
    "musubi-tuner": lambda stored: f"lora_unet_{stored.replace('.', '_')}",
    "ai-toolkit, ComfyUI": lambda stored: f"diffusion_model.{stored}",
}
"""q, k and v in one layer, as in a checkpoint."""


def pair(name: str, outputs: int, inputs: int, words: tuple[str, str]) -> dict[str, Tensor]:
    down, up = torch.ones(1, inputs or 8, dtype=torch.half), torch.ones(outputs or 8, 1, dtype=torch.half)
    return {f"{name}.{words[0]}.weight": down, f"{name}.{words[1]}.weight": up}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return load_base(build_klein(tmp_path_factory.mktemp("klein") / "tiny"))


def test_there_are_100_targets_of_25_blocks_and_the_model_has_them() -> None:
    from diffusers import Flux2Transformer2DModel

    with torch.device("meta"):
        model = Flux2Transformer2DModel(
            num_layers=5,
            num_single_layers=20,
            num_attention_heads=24,
            joint_attention_dim=7680,
            guidance_embeds=False,
        )
    linear = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear)}
    assert len(BLOCKS) == 5 * 12 + 20 * 2
    assert {each.path for each in LAYERS.values()} == linear.keys() - {"norm_out.linear"}
    for layer in LAYERS.values():
        sizes = KLEIN.public_size(layer)
        assert sizes in ((0, 0), tuple(linear[layer.path].weight.shape))
    assert sum(sum(KLEIN.public_size(each)) for each in BLOCKS.values()) == KLEIN.cost.unet_per_rank


@pytest.mark.parametrize("words", [("lora_down", "lora_up"), ("lora_A", "lora_B")])
@pytest.mark.parametrize("spelling", [*APART, *IN_ONE])
def test_every_spelling_is_read(tmp_path: Path, spelling: str, words: tuple[str, str]) -> None:
    found: dict[str, Tensor] = {}
    for layer in BLOCKS.values():
        outputs, inputs = KLEIN.public_size(layer)
        if spelling in APART:
            found |= pair(APART[spelling](layer), outputs, inputs, words)
            continue
        head, _, last = layer.aliases[0].rpartition(".")
        if last in "kv":
            continue
        stored, count = (f"{head}.qkv", 3) if last == "q" else (layer.aliases[0], 1)
        found |= pair(IN_ONE[spelling](stored), count * outputs, inputs, words)
    save_file(found, tmp_path / "a.safetensors")
    adapter = load_adapter(tmp_path / "a.safetensors")
    assert origin_of(adapter).family is KLEIN
    assert with_own_names(adapter).layers.keys() == BLOCKS.keys()


def test_flux_1_is_another(tmp_path: Path) -> None:
    """The same names for some, other sizes and more of them."""
    found: dict[str, Tensor] = {}
    for block in range(38):
        found |= pair(f"lora_unet_single_blocks_{block}_linear1", 21504, 3072, ("lora_down", "lora_up"))
        found |= pair(f"lora_unet_single_blocks_{block}_linear2", 3072, 15360, ("lora_down", "lora_up"))
    for block in range(19):
        found |= pair(f"lora_unet_double_blocks_{block}_img_attn_qkv", 9216, 3072, ("lora_down", "lora_up"))
        found |= pair(f"lora_unet_double_blocks_{block}_img_mod_lin", 18432, 3072, ("lora_down", "lora_up"))
    save_file(found, tmp_path / "a.safetensors")
    assert origin_of(load_adapter(tmp_path / "a.safetensors")).family is None


def acts(base: Base, file: Path) -> Tensor:
    bank = AdapterBank(base, [load_adapter(file)])
    x_t, t = torch.randn(2, 32, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0.4, 0.9])
    with torch.no_grad(), bank.attached():
        bank.set_strengths(torch.ones(2, 1))
        return base.denoise(x_t, t, base.encode(["a girl, smile", ""]))


@pytest.mark.parametrize("tool", ["musubi-tuner", "ai-toolkit"])
def test_a_trainer_s_file_acts_as_in_diffusers(base: Base, tmp_path: Path, tool: str) -> None:
    """With q, k and v in one, as both write it; diffusers' own converters are the other side."""
    generator = torch.Generator().manual_seed(1)
    down, up = ("lora_down", "lora_up") if tool == "musubi-tuner" else ("lora_A", "lora_B")
    spell = IN_ONE["musubi-tuner" if tool == "musubi-tuner" else "ai-toolkit, ComfyUI"]
    found: dict[str, Tensor] = {}
    for name, layer in base.targets.items():
        if layer.part != "unet":
            continue
        head, _, last = layer.aliases[0].rpartition(".")
        if last in "kv":
            continue
        stored, count = (f"{head}.qkv", 3) if last == "q" else (layer.aliases[0], 1)
        outputs, inputs = base.module(name).get_parameter("weight").shape
        found[f"{spell(stored)}.{down}.weight"] = 0.3 * torch.randn(2, inputs, generator=generator)
        found[f"{spell(stored)}.{up}.weight"] = 0.3 * torch.randn(count * outputs, 2, generator=generator)
        if tool == "musubi-tuner":
            found[f"{spell(stored)}.alpha"] = torch.tensor(1.0)
    save_file(found, tmp_path / "a.safetensors")
    ours = acts(base, tmp_path / "a.safetensors")
    pipeline = load_pipeline(base.folder)
    pipeline.load_lora_weights(str(tmp_path / "a.safetensors"))
    assert_alike(pipeline, base, ours)
    assert len(load_adapter(tmp_path / "a.safetensors").layers) == 16


def assert_alike(pipeline: object, base: Base, ours: Tensor) -> None:
    x_t, t = torch.randn(2, 32, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0.4, 0.9])
    with torch.no_grad():
        packed, places = pipeline.prepare_latents(2, 8, 64, 64, x_t.dtype, x_t.device, None, x_t)  # type: ignore[attr-defined]
        hidden = base.encode(["a girl, smile", ""]).hidden
        text = pipeline._prepare_text_ids(hidden)  # type: ignore[attr-defined]
        theirs = pipeline.transformer(packed, hidden, t, places, text, return_dict=False)[0]  # type: ignore[attr-defined]
    torch.testing.assert_close(ours.flatten(2).transpose(1, 2), theirs, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("to", ["kohya", "comfyui", "diffusers", "peft"])
def test_what_is_written_is_read_as_it_was(base: Base, tmp_path: Path, to: Spelling) -> None:
    adapter = trained_adapter(base, rank=2, alpha=2.0, text_encoder=to != "kohya")
    file, out = save_adapter(tmp_path / "a.safetensors", adapter), tmp_path / "out"
    respell(file, out, to, str(base.folder))
    read = fit_adapter(load_adapter(out), base)
    assert read.layers.keys() == adapter.layers.keys()
    for name, factors in read.layers.items():
        weight = base.module(name).get_parameter("weight")
        want = adapter.layers[name].delta_weight(weight)
        torch.testing.assert_close(factors.delta_weight(weight), want, rtol=2e-3, atol=2e-3)


def test_diffusers_finds_nothing_in_a_file_as_it_is_trained(base: Base, tmp_path: Path) -> None:
    """It takes kohya's words for kohya's names; ComfyUI reads all of it."""
    adapter = replace(trained_adapter(base, text_encoder=False), metadata={"ss_base_model_version": "flux2_klein_4b"})
    file = save_adapter(tmp_path / "a.safetensors", adapter)
    tensors = load_file(file)
    assert "transformer.transformer_blocks.0.attn.to_q.lora_down.weight" in tensors
    says = {each.tool: each for each in tell_readers({key: tuple(t.shape) for key, t in tensors.items()}, KLEIN)}
    assert (says["ComfyUI"].taken, says["diffusers"].taken, says["diffusers"].refused) == (16, 0, "")
    pipeline = load_pipeline(base.folder)
    pipeline.load_lora_weights(str(file))
    assert not [name for name, _ in pipeline.transformer.named_modules() if name.endswith("lora_A")]


def test_diffusers_takes_what_is_written_for_it_and_for_comfyui(base: Base, tmp_path: Path) -> None:
    file = save_adapter(tmp_path / "a.safetensors", trained_adapter(base, rank=2, alpha=2.0, text_encoder=False))
    ours = acts(base, file)
    for to in ("diffusers", "comfyui"):
        out = tmp_path / f"{to}.safetensors"
        respell(file, out, to, str(base.folder))
        assert "transformer.transformer_blocks.0.attn.to_q.lora_A.weight" in load_file(out)
        pipeline = load_pipeline(base.folder)
        pipeline.load_lora_weights(str(out))
        assert_alike(pipeline, base, ours)
