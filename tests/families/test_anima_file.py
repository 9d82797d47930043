"""Anima in the files that ComfyUI takes: the same numbers as from diffusers' folder, parts told by their headers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLQwenImage
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_anima_lora_to_diffusers
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from safetensors.torch import load_file, save_file
from torch import Tensor

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import save_adapter
from lorasmith.adapters.surgery.insertion import insert
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.describe import describe_base
from lorasmith.bases.detection import detect, family_of
from lorasmith.bases.families.anima import ANIMA
from lorasmith.bases.families.wan_vae import wan_vae_config, wan_vae_keys
from lorasmith.bases.shipped import qwen_tokenizer, t5_tokenizer
from lorasmith.bases.stored import open_stored
from lorasmith.errors import AdapterError, BaseError
from lorasmith.events import finish
from tests.adapters.drawing import trained_adapter
from tests.families.roads import command, told

# Paths in diffusers' transformer, and names in a checkpoint; the longer ones first.
NAMES = (
    ("transformer_blocks.", "blocks."),
    ("time_embed.t_embedder", "t_embedder.1"),
    ("time_embed.norm", "t_embedding_norm"),
    ("norm_out.linear_", "final_layer.adaln_modulation."),
    ("norm1.linear_", "adaln_modulation_self_attn."),
    ("norm2.linear_", "adaln_modulation_cross_attn."),
    ("norm3.linear_", "adaln_modulation_mlp."),
    ("attn1", "self_attn"),
    ("attn2", "cross_attn"),
    ("to_out.0", "output_proj"),
    ("to_q", "q_proj"),
    ("to_k", "k_proj"),
    ("to_v", "v_proj"),
    ("norm_q", "q_norm"),
    ("norm_k", "k_norm"),
    ("ff.net.0.proj", "mlp.layer1"),
    ("ff.net.2", "mlp.layer2"),
    ("patch_embed.proj", "x_embedder.proj.1"),
    ("proj_out", "final_layer.linear"),
)


def stored(key: str) -> str:
    for path, name in NAMES:
        key = key.replace(path, name)
    return key


def weights(folder: Path, part: str) -> dict[str, Tensor]:
    (file,) = (folder / part).glob("*.safetensors")
    tensors: dict[str, Tensor] = load_file(file)
    return tensors


def write_files(folder: Path, root: Path, start: str = "net.", near: bool = True) -> Path:
    """The folder's parts as ComfyUI's files under `root`; all in one place, or where ComfyUI has them."""
    names = ("text_encoders", "vae", "diffusion_models")
    texts, vae, models = (root if near else root / name for name in names)
    for place in (texts, vae, models):
        place.mkdir(parents=True, exist_ok=True)
    denoiser = {f"{start}{stored(key)}": each for key, each in weights(folder, "transformer").items()}
    conditioner = {f"{start}llm_adapter.{key}": each for key, each in weights(folder, "text_conditioner").items()}
    counters = {f"{start}pos_embedder.seq": torch.arange(8.0)}
    save_file(denoiser | conditioner | counters, models / "anima.safetensors")
    save_file({f"model.{key}": each for key, each in weights(folder, "text_encoder").items()}, texts / "q.safetensors")
    tensors, config = weights(folder, "vae"), AutoencoderKLQwenImage.load_config(folder / "vae")
    keys = wan_vae_keys(tensors, config)
    save_file({keys[key]: each for key, each in tensors.items()}, vae / "v.safetensors")
    for name in ("tokenizer", "t5_tokenizer"):
        shutil.copytree(folder / name, models / name, dirs_exist_ok=True)
    return models / "anima.safetensors"


@pytest.fixture(scope="module")
def folder(anima_folder: Path) -> Path:
    return anima_folder


@pytest.fixture(scope="module")
def base(anima_base: Base) -> Base:
    return anima_base


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(folder, tmp_path_factory.mktemp("comfy"))


@torch.no_grad()
def numbers(base: Base) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    x_t, pixels = torch.randn(2, 16, 1, 8, 8, generator=generator), torch.rand(1, 3, 64, 64, generator=generator)
    context = base.encode(["a girl, smile", ""])
    z = base.encode_images(pixels)
    return [context.hidden, base.denoise(x_t, torch.tensor([0.3, 0.9]), context), z, base.decode_latents(z)]


@pytest.mark.parametrize(
    ("start", "near"), [("net.", True), ("net.", False), ("model.diffusion_model.", True), ("", True)]
)
def test_the_numbers_are_the_folder_s(folder: Path, base: Base, tmp_path: Path, start: str, near: bool) -> None:
    single = load_base(write_files(folder, tmp_path, start, near))
    assert single.family is ANIMA
    for ours, theirs in zip(numbers(single), numbers(base), strict=True):
        assert torch.equal(ours, theirs)
    assert single.parametrisation == base.parametrisation
    assert single.targets == base.targets


def test_keys_are_mapped_as_diffusers_maps_them() -> None:
    with torch.device("meta"):
        vae = AutoencoderKLQwenImage()
    keys = wan_vae_keys(vae.state_dict(), vae.config)
    theirs = convert_wan_vae_to_diffusers({name: key for key, name in keys.items()})
    assert theirs == {key: key for key in keys}
    config = wan_vae_config({keys[key]: tuple(each.shape) for key, each in vae.state_dict().items()})
    assert config == {key: vae.config[key] for key in config}
    layers = [each for each in ANIMA.public_layers().values() if each.owner == "transformer"]
    modules = _convert_non_diffusers_anima_lora_to_diffusers(
        {f"diffusion_model.{e.aliases[0]}.w": e.path for e in layers}
    )
    assert modules == {f"transformer.{each.path}.w": each.path for each in layers}
    assert {stored(each.path) for each in layers} == {each.aliases[0] for each in layers}


def test_others_beside_it_are_not_taken(folder: Path, base: Base, tmp_path: Path) -> None:
    file = write_files(folder, tmp_path)
    qwen = load_file(tmp_path / "q.safetensors")
    save_file({key: torch.zeros(*each.shape[:-1], 24) for key, each in qwen.items()}, tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"no safetensors")
    assert torch.equal(numbers(load_base(file))[0], numbers(base)[0])


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("q.safetensors", r"has no text encoder, a Qwen3 of width 16, beside it \(looked in .*\)\."),
        ("v.safetensors", r"has no VAE, one of Qwen-Image with 16 channels, beside it \(looked in .*\)\."),
    ],
)
def test_what_is_missing_is_named(folder: Path, tmp_path: Path, gone: str, message: str) -> None:
    file = write_files(folder, tmp_path / "models")
    (tmp_path / "models" / gone).unlink()
    with pytest.raises(BaseError, match=message) as fault:
        load_base(file)
    assert str(tmp_path / "models") in str(fault.value)
    assert family_of(str(file)) is ANIMA, "a recipe is read all the same"


def test_a_tokenizer_that_is_not_shipped_is_asked_for(folder: Path, tmp_path: Path) -> None:
    file = write_files(folder, tmp_path)
    shutil.rmtree(tmp_path / "tokenizer")
    with pytest.raises(BaseError, match="knows 400 tokens, not the 151936 of the tokenizer that is shipped") as fault:
        load_base(file)
    assert "folder tokenizer" in str(fault.value.hint)


def test_what_is_no_whole_file_says_so(folder: Path, tmp_path: Path) -> None:
    file = write_files(folder, tmp_path)
    tensors = load_file(file)
    del tensors["net.blocks.1.mlp.layer2.weight"]
    save_file(tensors, file)
    with pytest.raises(BaseError, match=r"lacks net\.blocks\.1\.mlp\.layer2\.weight"):
        load_base(file)
    del tensors["net.final_layer.linear.weight"]
    save_file(tensors, file)
    with pytest.raises(BaseError, match=r"is like an Anima checkpoint, but another structure or incomplete"):
        detect(file)


def test_it_is_told_without_torch(file: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lorasmith.bases.detection import detect\n"
        f"structure = detect(Path({str(file)!r}))\n"
        "assert structure.family.name == 'anima' and len(structure.targets) == 54, len(structure.targets)\n"
        "heavy = sorted(set(sys.modules) & {'torch', 'diffusers', 'transformers'})\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_it_is_shown_merged_into_and_compressed(
    file: Path, folder: Path, base: Base, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert describe_base(str(file))["layers"] == describe_base(str(folder))["layers"]
    assert told(capsys, "prompt", "explain", "(blue hair:1.2), smile", "--base", file)["chunks"] == [
        *told(capsys, "prompt", "explain", "(blue hair:1.2), smile", "--base", folder)["chunks"]
    ]
    adapter = trained_adapter(base, rank=2, alpha=2.0, text_encoder=False)
    saved = save_adapter(tmp_path / "a.safetensors", adapter, torch.float32)
    merged = file.with_name("merged.safetensors")
    command("adapter", "merge", saved, "--into", file, "--out", merged)
    bank = AdapterBank(base, [adapter])
    with bank.attached():
        bank.set_strengths(torch.ones(1, 1))
        want = numbers(base)[1]
    torch.testing.assert_close(numbers(load_base(merged))[1], want, rtol=1e-4, atol=1e-4)
    small = numbers(load_base(file, weights="int8"))[1]
    error = float((small - numbers(base)[1]).norm() / numbers(base)[1].norm())
    assert 0 < error < 0.02
    texts = trained_adapter(base, rank=2, alpha=2.0, text_encoder=True)
    with pytest.raises(AdapterError, match=r"a file of its own, q\.safetensors, and only anima\.safetensors would"):
        finish(insert(open_stored(file), [texts], [1.0], tmp_path / "out.safetensors"))


def test_the_shipped_tokenizers_give_the_published_ids() -> None:
    """By the files in sd-scripts' configs/qwen3_06b and configs/t5_old, as transformers reads them."""
    qwen, t5 = qwen_tokenizer(), t5_tokenizer()
    assert (len(qwen), len(t5)) == (151_669, 32_100)
    text = "masterpiece, score_9, @artist"
    assert qwen(text)["input_ids"] == [13629, 22362, 11, 5456, 62, 24, 11, 569, 18622]
    assert t5(text)["input_ids"] == [20975, 6, 2604, 834, 1298, 6, 3320, 1408, 343, 1]
    assert qwen("<|endoftext|> <think>x</think>")["input_ids"] == [151643, 220, 151667, 87, 151668]
    assert t5("日本語 naïve")["input_ids"] == [3, 2, 3, 29, 9, 2, 162, 1]
    assert (qwen.pad_token_id, t5.eos_token_id, t5("")["input_ids"]) == (151643, 1, [1])
