"""The family that chooses the preset, told without opening weights."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from huggingface_hub import constants

from lorasmith.bases.detection import detect, family_of, locate_base, preset_family
from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.families import UNKNOWN, find_family
from lorasmith.errors import BaseError


def checkpoint(path: Path, key: str) -> Path:
    text = json.dumps({key: {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0\0")
    return path


def folder(path: Path, width: int, second: bool = False) -> Path:
    (path / "unet").mkdir(parents=True)
    (path / "unet" / "config.json").write_text(json.dumps({"cross_attention_dim": width}))
    if second:
        (path / "text_encoder_2").mkdir()
    return path


@pytest.mark.parametrize(
    ("key", "family"),
    [
        ("cond_stage_model.transformer.text_model.x", "sd1"),
        ("cond_stage_model.model.ln_final.weight", "sd2"),
        ("conditioner.embedders.1.model.ln_final.weight", "sdxl"),
        ("something.else", "sd1"),
    ],
)
def test_of_a_checkpoint(key: str, family: str, tmp_path: Path) -> None:
    assert family_of(str(checkpoint(tmp_path / "m.safetensors", key))).name == family


def test_of_folders_and_of_what_is_broken(tmp_path: Path) -> None:
    assert family_of(str(folder(tmp_path / "one", 768))).name == "sd1"
    assert family_of(str(folder(tmp_path / "two", 1024))).name == "sd2"
    assert family_of(str(folder(tmp_path / "xl", 80, second=True))).name == "sdxl"
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    bad, absent = (family_of(str(tmp_path / name)) for name in ("bad.safetensors", "none"))
    assert bad.name == absent.name == "sd1"
    assert family_of("doodle").name == "doodle"


def test_of_a_base_in_the_hub_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert family_of("owner/model").name == "sd1"
    root = tmp_path / "models--owner--model"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("0" * 40)
    folder(root / "snapshots" / ("0" * 40), 1024)
    assert family_of("owner/model").name == "sd2"


def test_a_path_is_looked_for_beside_the_project(tmp_path: Path) -> None:
    here = checkpoint(tmp_path / "m.safetensors", "x")
    assert locate_base("m.safetensors", tmp_path) == str(here.resolve())
    assert locate_base("owner/model", tmp_path) == "owner/model"
    assert locate_base("doodle", tmp_path) == "doodle"


def header_file(path: Path, *keys: str) -> Path:
    """A safetensors file with these keys, each a number of two bytes."""
    table = {key: {"dtype": "F16", "shape": [1], "data_offsets": [2 * n, 2 * n + 2]} for n, key in enumerate(keys)}
    text = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0\0" * len(keys))
    return path


FILES: dict[str, tuple[str, str]] = {
    # name: (a key of such a file, what the error calls it)
    "flux": ("double_blocks.0.img_attn.qkv.weight", "Flux"),
    "sd3": ("model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight", "Stable Diffusion 3"),
    "anima": ("net.llm_adapter.blocks.0.self_attn.q_proj.weight", "Anima"),
    "cosmos": ("net.blocks.0.self_attn.q_proj.weight", "Cosmos"),
    "pixart": ("adaln_single.linear.weight", "PixArt"),
    "wan": ("blocks.0.self_attn.norm_q.weight", "Wan"),
    "zimage": ("noise_refiner.0.attention.qkv.weight", "Z-Image"),
    "other transformer": ("transformer_blocks.0.attn.to_q.weight", "a diffusion transformer"),
    "kohya's adapter": ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "an adapter, not a base"),
    "diffusers' adapter": ("unet.down_blocks.0.attentions.0.proj_in.lora_A.weight", "an adapter, not a base"),
    "vae": ("decoder.conv_in.weight", "its VAE"),
    "vae in the original layout": ("first_stage_model.decoder.conv_in.weight", "its VAE"),
    "text encoder": ("text_model.embeddings.token_embedding.weight", "a text encoder"),
    "unet": ("down_blocks.0.resnets.0.conv1.weight", "its UNet"),
    "unknown": ("something.else", "no base of a known kind"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_no_base_are_named(case: str, tmp_path: Path) -> None:
    key, called = FILES[case]
    with pytest.raises(BaseError, match=called) as caught:
        detect(header_file(tmp_path / "m.safetensors", key))
    assert caught.value.hint


def described(path: Path, part: str, kind: str) -> Path:
    (path / part).mkdir(parents=True, exist_ok=True)
    (path / part / "config.json").write_text(json.dumps({"_class_name": kind}))
    return path


FOLDERS: dict[str, tuple[str, str, str]] = {
    "flux": ("transformer", "FluxTransformer2DModel", r"is FLUX: .*FluxTransformer2DModel"),
    "flux 2": ("transformer", "Flux2Transformer2DModel", r"is FLUX\.2"),
    "sd3": ("transformer", "SD3Transformer2DModel", "is Stable Diffusion 3"),
    "anima": ("transformer", "CosmosTransformer3DModel", "is Cosmos or Anima"),
    "pixart": ("transformer", "PixArtTransformer2DModel", "is PixArt"),
    "wan": ("transformer", "WanTransformer3DModel", "is Wan"),
    "another": ("transformer", "NewTransformer", "another model: it has a transformer"),
    "vae": ("", "AutoencoderKL", "one part of a model, a VAE"),
    "unet": ("", "UNet2DConditionModel", "one part of a model, a UNet"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_folders_that_are_no_base_are_named(case: str, tmp_path: Path) -> None:
    part, kind, called = FOLDERS[case]
    base = described(tmp_path / "m", part, kind)
    with pytest.raises(BaseError, match=called) as caught:
        detect(base)
    assert caught.value.hint
    with pytest.raises(BaseError, match=called):
        family_of(str(base))  # a recipe is not read for it


def test_a_folder_of_ours_that_is_not_whole_says_what_it_lacks(tmp_path: Path) -> None:
    klein = described(tmp_path / "klein", "transformer", "Flux2Transformer2DModel")
    for part in ("vae", "scheduler"):
        (klein / part).mkdir()
    with pytest.raises(BaseError, match=r"but no text_encoder/, tokenizer/, which FLUX\.2-klein needs\."):
        detect(klein)
    for part in ("tokenizer", "text_encoder"):
        (klein / part).mkdir()
    with pytest.raises(BaseError, match=r'transformer/config\.json does not say "guidance_embeds": false'):
        detect(klein)
    whole = {"_class_name": "Flux2Transformer2DModel", "guidance_embeds": False}
    (klein / "transformer" / "config.json").write_text(json.dumps(whole))
    with pytest.raises(BaseError, match=r"no vae/config\.json") as caught:
        detect(klein)
    assert "transformer/" in str(caught.value.hint)
    (klein / "transformer" / "config.json").write_text("{}")
    with pytest.raises(BaseError, match=r"transformer/config\.json names no _class_name"):
        detect(klein)
    cosmos = described(tmp_path / "cosmos", "transformer", "CosmosTransformer3DModel")
    with pytest.raises(BaseError, match=r"but no .*text_conditioner/.*, which Anima needs"):
        detect(cosmos)


def test_other_folders_and_files_say_what_is_missing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BaseError, match=r"is an empty folder: no unet/config\.json"):
        detect(empty)
    (empty / "adapter_config.json").write_text("{}")
    with pytest.raises(BaseError, match="an adapter, not a base"):
        detect(empty)
    files = tmp_path / "files"
    files.mkdir()
    (files / "model.ckpt").write_bytes(b"PK")
    with pytest.raises(BaseError, match="has pickled files only"):
        detect(files)
    header_file(files / "model.safetensors", "a")
    with pytest.raises(BaseError, match=r"Give one of its files: model\.safetensors"):
        detect(files)
    with pytest.raises(BaseError, match="is a pickled file"):
        detect(files / "model.ckpt")
    with pytest.raises(BaseError, match="holds no tensors"):
        detect(header_file(tmp_path / "none.safetensors"))
    with pytest.raises(BaseError, match="no such file or folder"):
        detect(tmp_path / "absent")


def test_one_detector_says_the_same_to_recipes_and_to_loading(family_folders: dict[str, Path]) -> None:
    for name, base in family_folders.items():
        assert family_of(str(base)) is detect(base).family is find_family(name)
    copy = doodle_folder()
    assert family_of(str(copy)) is detect(copy).family is find_family("doodle")
    assert preset_family("doodle").name == "doodle"
    assert preset_family(str(copy)) is UNKNOWN  # its presets are for the name alone
