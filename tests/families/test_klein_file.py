"""FLUX.2-klein in the files that ComfyUI takes: the same numbers as from diffusers' folder, parts told by headers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import Flux2Transformer2DModel
from diffusers.loaders.single_file_utils import convert_flux2_transformer_checkpoint_to_diffusers
from safetensors.torch import load_file, save_file
from torch import Tensor

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.detection import detect, family_of
from lorasmith.bases.families.klein import KLEIN, is_distilled
from lorasmith.bases.families.klein_layers import checkpoint_source
from lorasmith.bases.families.original import vae_sources
from lorasmith.errors import BaseError
from tests.adapters.drawing import trained_adapter
from tests.families.klein_models import build_klein
from tests.families.roads import command


def weights(folder: Path, part: str) -> dict[str, Tensor]:
    (file,) = (folder / part).glob("*.safetensors")
    tensors: dict[str, Tensor] = load_file(file)
    return tensors


def stored(tensors: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    """A transformer's weights as Black Forest Labs publish them: q, k and v in one, the last halves the other way."""
    found: dict[str, list[tuple[int, Tensor]]] = {}
    for key, tensor in tensors.items():
        place = checkpoint_source(key, start)
        found.setdefault(place.key, []).append((place.third or 0, place.take(tensor) if place.swapped else tensor))
    return {
        key: torch.cat([each for _, each in sorted(parts, key=lambda part: part[0])]) for key, parts in found.items()
    }


def stored_vae(tensors: dict[str, Tensor], inside: bool) -> dict[str, Tensor]:
    """A VAE as it is published for ComfyUI; `inside`: quant_conv lies in its encoder and decoder."""
    places = vae_sources(tensors, 4, "")
    found = {places[key].key: t[:, :, None, None] if places[key].flattened else t for key, t in tensors.items()}
    if not inside:
        return found
    moved = {"quant_conv": "encoder.quant_conv", "post_quant_conv": "decoder.post_quant_conv"}
    return {
        ".".join([moved.get(key.split(".")[0], key.split(".")[0]), *key.split(".")[1:]]): each
        for key, each in found.items()
    }


def write_files(folder: Path, root: Path, start: str = "", *, near: bool = True, inside: bool = True) -> Path:
    """The folder's parts as ComfyUI's files under `root`; all in one place, or where ComfyUI has them."""
    names = ("text_encoders", "vae", "diffusion_models")
    texts, vae, models = (root if near else root / name for name in names)
    for place in (texts, vae, models):
        place.mkdir(parents=True, exist_ok=True)
    qwen = {key: each for key, each in weights(folder, "text_encoder").items() if key.startswith("model.")}
    save_file(qwen, texts / "q.safetensors")
    save_file(stored_vae(weights(folder, "vae"), inside), vae / "v.safetensors")
    save_file(stored(weights(folder, "transformer"), start), models / "flux-2-klein-base-4b.safetensors")
    shutil.copytree(folder / "tokenizer", models / "tokenizer", dirs_exist_ok=True)
    return models / "flux-2-klein-base-4b.safetensors"


@pytest.fixture(scope="module")
def folder(klein_folder: Path) -> Path:
    return klein_folder


@torch.no_grad()
def numbers(base: Base) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    x_t, pixels = torch.randn(2, 32, 4, 4, generator=generator), torch.rand(1, 3, 64, 64, generator=generator)
    context = base.encode(["a girl, smile", ""])
    z = base.encode_images(pixels)
    return [context.hidden, base.denoise(x_t, torch.tensor([0.3, 0.9]), context), z, base.decode_latents(z)]


@pytest.mark.parametrize(
    ("start", "how"), [("", {}), ("model.diffusion_model.", {"near": False}), ("", {"inside": False})]
)
def test_the_numbers_are_the_folder_s(
    folder: Path, klein_base: Base, tmp_path: Path, start: str, how: dict[str, bool]
) -> None:
    single = load_base(write_files(folder, tmp_path, start, **how))
    assert single.family is KLEIN
    for ours, theirs in zip(numbers(single), numbers(klein_base), strict=True):
        assert torch.equal(ours, theirs)
    assert single.parametrisation == klein_base.parametrisation
    assert single.targets == klein_base.targets


def test_keys_are_mapped_as_diffusers_maps_them() -> None:
    with torch.device("meta"):
        model = Flux2Transformer2DModel(num_layers=2, num_single_layers=2, guidance_embeds=False)
    sizes = {key: tuple(each.shape) for key, each in model.state_dict().items()}
    checkpoint: dict[str, Tensor] = {}
    for key, shape in sizes.items():
        place = checkpoint_source(key, "")
        checkpoint[place.key] = torch.empty(shape[0] * (1 if place.third is None else 3), *shape[1:], device="meta")
    theirs = convert_flux2_transformer_checkpoint_to_diffusers(checkpoint)
    assert {key: tuple(each.shape) for key, each in theirs.items()} == sizes


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("q.safetensors", r"has no text encoder, a Qwen3 of width 24, beside it \(looked in .*\)\."),
        ("v.safetensors", r"has no VAE, one of FLUX.2 with 8 channels, beside it \(looked in .*\)\."),
    ],
)
def test_what_is_missing_is_named(folder: Path, tmp_path: Path, gone: str, message: str) -> None:
    file = write_files(folder, tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(BaseError, match=message):
        load_base(file)
    assert family_of(str(file)) is KLEIN, "a recipe is read all the same"


def test_what_is_no_whole_file_says_so(folder: Path, tmp_path: Path) -> None:
    file = write_files(folder, tmp_path)
    tensors = load_file(file)
    del tensors["single_blocks.1.linear2.weight"]
    save_file(tensors, file)
    with pytest.raises(BaseError, match=r"lacks single_blocks\.1\.linear2\.weight"):
        load_base(file)
    del tensors["img_in.weight"]
    save_file(tensors, file)
    with pytest.raises(BaseError, match=r"is like a FLUX.2-klein checkpoint, but another structure or incomplete"):
        detect(file)


def test_flux_2_dev_and_parts_of_two_models_are_refused(folder: Path, tmp_path: Path) -> None:
    file = write_files(folder, tmp_path)
    save_file({**load_file(file), "guidance_in.in_layer.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(BaseError, match="is Flux or another model of its kind"):
        detect(file)
    with pytest.raises(BaseError, match=r"is FLUX\.2: it has a transformer \(Flux2Transformer2DModel\)"):
        detect(build_klein(tmp_path / "dev", guidance_embeds=True))
    with pytest.raises(BaseError, match="gives 3 vectors 24 wide, its transformer takes 96 numbers"):
        detect(build_klein(tmp_path / "mixed", joint_attention_dim=96))


@pytest.mark.parametrize(
    ("name", "distilled"),
    [("flux-2-klein-4b", True), ("flux-2-klein-base-4b", False), ("my_klein_mix", True), ("photo", False)],
)
def test_distilled_ones_are_told_by_their_name(folder: Path, tmp_path: Path, name: str, distilled: bool) -> None:
    file = write_files(folder, tmp_path).rename(tmp_path / f"{name}.safetensors")
    assert is_distilled(detect(file)) is distilled


def test_it_is_told_without_torch_and_merged_into(folder: Path, klein_base: Base, tmp_path: Path) -> None:
    file = write_files(folder, tmp_path)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lorasmith.bases.detection import detect\n"
        f"structure = detect(Path({str(file)!r}))\n"
        "assert structure.family.name == 'klein' and len(structure.targets) == 44, len(structure.targets)\n"
        "heavy = sorted(set(sys.modules) & {'torch', 'diffusers', 'transformers'})\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    adapter = trained_adapter(klein_base, text_encoder=False)
    saved = save_adapter(tmp_path / "a.safetensors", adapter, torch.float32)
    command("adapter", "merge", saved, "--into", file, "--out", tmp_path / "both.safetensors")
    merged = load_base(tmp_path / "both.safetensors")
    for name, factors in adapter.layers.items():
        weight = klein_base.module(name).get_parameter("weight")
        both = merged.module(name).get_parameter("weight")
        torch.testing.assert_close(both, weight + factors.delta_weight(weight), rtol=1e-5, atol=1e-5)
