"""Z-Image in the files that ComfyUI takes: the same numbers as from diffusers' folder, parts told by their headers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import ZImageTransformer2DModel
from diffusers.loaders.single_file_utils import convert_z_image_transformer_checkpoint_to_diffusers
from safetensors.torch import load_file, save_file
from torch import Tensor

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.describe import describe_base
from lorasmith.bases.detection import detect, family_of
from lorasmith.bases.families.original import vae_sources
from lorasmith.bases.families.zimage import ZIMAGE, is_turbo
from lorasmith.bases.families.zimage_layers import checkpoint_source
from lorasmith.errors import BaseError
from lorasmith.generation.base_facts import facts_of, known_facts
from tests.adapters.drawing import trained_adapter
from tests.families.roads import command, told
from tests.families.zimage_models import build_zimage

RENAMED = (
    ("all_x_embedder.2-1.", "x_embedder."),
    ("all_final_layer.2-1.", "final_layer."),
    (".to_out.0.", ".out."),
    (".norm_q.", ".q_norm."),
    (".norm_k.", ".k_norm."),
)


def weights(folder: Path, part: str) -> dict[str, Tensor]:
    (file,) = (folder / part).glob("*.safetensors")
    tensors: dict[str, Tensor] = load_file(file)
    return tensors


def stored(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's weights as ComfyUI has them: q, k and v in one."""
    found: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if ".to_q." in key:
            rows = [tensors[key.replace("to_q", f"to_{each}")] for each in "qkv"]
            found[key.replace("to_q", "qkv")] = torch.cat(rows)
        elif ".to_k." not in key and ".to_v." not in key:
            for ours, name in RENAMED:
                key = key.replace(ours, name)
            found[key] = tensor
    return found


def stored_vae(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    places = vae_sources(tensors, 4, "")
    return {places[key].key: each[:, :, None, None] if places[key].flattened else each for key, each in tensors.items()}


def write_files(
    folder: Path, root: Path, start: str = "", *, near: bool = True, fused: bool = True, whole: bool = False
) -> Path:
    """The folder's parts as ComfyUI's files under `root`; all in one place, or where ComfyUI has them; or in one."""
    names = ("text_encoders", "vae", "diffusion_models")
    texts, vae, models = (root if near else root / name for name in names)
    for place in (texts, vae, models):
        place.mkdir(parents=True, exist_ok=True)
    denoiser, qwen = weights(folder, "transformer"), weights(folder, "text_encoder")
    tensors = {f"{start}{key}": each for key, each in (stored(denoiser) if fused else denoiser).items()}
    if whole:
        tensors |= {f"text_encoders.qwen3_4b.transformer.model.{key}": each for key, each in qwen.items()}
        tensors |= {f"vae.{key}": each for key, each in stored_vae(weights(folder, "vae")).items()}
    else:
        save_file({f"model.{key}": each for key, each in qwen.items()}, texts / "q.safetensors")
        decoder = weights(folder, "vae")
        save_file(stored_vae(decoder) if fused else decoder, vae / "v.safetensors")
    save_file(tensors, models / "z_image.safetensors")
    shutil.copytree(folder / "tokenizer", models / "tokenizer", dirs_exist_ok=True)
    return models / "z_image.safetensors"


@pytest.fixture(scope="module")
def folder(zimage_folder: Path) -> Path:
    return zimage_folder


@pytest.fixture(scope="module")
def base(zimage_base: Base) -> Base:
    return zimage_base


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(folder, tmp_path_factory.mktemp("comfy"))


@torch.no_grad()
def numbers(base: Base) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    x_t, pixels = torch.randn(2, 16, 8, 8, generator=generator), torch.rand(1, 3, 64, 64, generator=generator)
    context = base.encode(["a girl, smile", ""])
    z = base.encode_images(pixels)
    return [context.hidden, base.denoise(x_t, torch.tensor([0.3, 0.9]), context), z, base.decode_latents(z)]


@pytest.mark.parametrize(
    ("start", "how"),
    [
        ("", {}),
        ("", {"near": False}),
        ("model.diffusion_model.", {"near": False}),
        ("", {"fused": False}),
        ("model.diffusion_model.", {"whole": True}),
    ],
)
def test_the_numbers_are_the_folder_s(
    folder: Path, base: Base, tmp_path: Path, start: str, how: dict[str, bool]
) -> None:
    single = load_base(write_files(folder, tmp_path, start, **how))
    assert single.family is ZIMAGE
    for ours, theirs in zip(numbers(single), numbers(base), strict=True):
        assert torch.equal(ours, theirs)
    assert single.parametrisation == base.parametrisation
    assert single.targets == base.targets


def test_keys_are_mapped_as_diffusers_maps_them() -> None:
    with torch.device("meta"):
        model = ZImageTransformer2DModel()
    sizes = {key: tuple(each.shape) for key, each in model.state_dict().items()}
    checkpoint: dict[str, Tensor] = {}
    for key, shape in sizes.items():
        place = checkpoint_source(key, "model.diffusion_model.", fused=True)
        rows = shape[0] * (1 if place.third is None else 3)
        checkpoint[place.key] = torch.empty(rows, *shape[1:], device="meta")
    theirs = convert_z_image_transformer_checkpoint_to_diffusers(checkpoint)
    assert {key: tuple(each.shape) for key, each in theirs.items()} == sizes


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("q.safetensors", r"has no text encoder, a Qwen3 of width 24, beside it \(looked in .*\)\."),
        ("v.safetensors", r"has no VAE, one of Flux with 16 channels, beside it \(looked in .*\)\."),
    ],
)
def test_what_is_missing_is_named(folder: Path, tmp_path: Path, gone: str, message: str) -> None:
    file = write_files(folder, tmp_path / "models")
    (tmp_path / "models" / gone).unlink()
    with pytest.raises(BaseError, match=message) as fault:
        load_base(file)
    assert str(tmp_path / "models") in str(fault.value)
    assert family_of(str(file)) is ZIMAGE, "a recipe is read all the same"


def test_the_shipped_tokenizer_is_the_family_s_where_the_sizes_are(folder: Path, tmp_path: Path) -> None:
    file = write_files(folder, tmp_path)
    shutil.rmtree(tmp_path / "tokenizer")
    with pytest.raises(BaseError, match="knows 400 tokens, not the 151936 of the tokenizer that is shipped"):
        load_base(file)


def test_what_is_no_whole_file_says_so(folder: Path, tmp_path: Path) -> None:
    file = write_files(folder, tmp_path)
    tensors = load_file(file)
    del tensors["layers.1.attention.out.weight"]
    save_file(tensors, file)
    with pytest.raises(BaseError, match=r"lacks layers\.1\.attention\.out\.weight"):
        load_base(file)
    del tensors["cap_embedder.1.weight"]
    save_file(tensors, file)
    with pytest.raises(BaseError, match=r"is like a Z-Image checkpoint, but another structure or incomplete"):
        detect(file)
    del tensors["x_pad_token"]
    save_file(tensors, file)
    with pytest.raises(BaseError, match=r"is Lumina, or not a whole Z-Image"):
        detect(file)


def test_omni_is_refused(folder: Path, tmp_path: Path) -> None:
    file = write_files(folder, tmp_path)
    save_file({**load_file(file), "siglip_embedder.1.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(BaseError, match="is Z-Image-Omni, which is told of pictures, too"):
        detect(file)


@pytest.mark.parametrize(
    ("name", "shift", "title", "turbo"),
    [
        ("Z-Image-Turbo", 6.0, "", True),
        ("z_image_turbo_bf16", 6.0, "", True),
        ("Z-Image-De-Turbo", 3.0, "", False),
        ("z_image_de_turbo_v1_bf16", 3.0, "", False),
        ("z_image_bf16", 3.0, "", False),
        ("photo", 3.0, "", True),
        ("photo", 6.0, "", False),
        ("photo", 6.0, "My Z-Image Turbo merge", True),
    ],
)
def test_turbo_is_recognised(folder: Path, tmp_path: Path, name: str, shift: float, title: str, turbo: bool) -> None:
    if title or "_" in name:  # a single file
        file = write_files(folder, tmp_path).rename(tmp_path / f"{name}.safetensors")
        if title:
            save_file(load_file(file), file, {"modelspec.title": title})
        structure = detect(file)
    else:
        structure = detect(build_zimage(tmp_path / name, shift))
    assert is_turbo(structure) is turbo
    assert (known_facts(str(structure.evidence.path)).cfg == 1.0) is turbo
    assert bool(ZIMAGE.cautions(structure)) is turbo


def test_it_is_told_without_torch(file: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lorasmith.bases.detection import detect\n"
        f"structure = detect(Path({str(file)!r}))\n"
        "assert structure.family.name == 'zimage' and len(structure.targets) == 49, len(structure.targets)\n"
        "heavy = sorted(set(sys.modules) & {'torch', 'diffusers', 'transformers'})\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_it_is_shown_merged_into_and_compressed(
    file: Path, folder: Path, base: Base, capsys: pytest.CaptureFixture[str]
) -> None:
    assert describe_base(str(file))["layers"] == describe_base(str(folder))["layers"]
    assert facts_of(load_base(file)).cfg == known_facts(str(file)).cfg == ZIMAGE.cfg
    assert told(capsys, "prompt", "explain", "(blue hair:1.2), smile", "--base", file)["chunks"] == [
        *told(capsys, "prompt", "explain", "(blue hair:1.2), smile", "--base", folder)["chunks"]
    ]
    adapter = trained_adapter(base, rank=2, alpha=2.0, text_encoder=False)
    saved = save_adapter(file.with_name("a.safetensors"), adapter, torch.float32)
    merged = file.with_name("merged.safetensors")
    command("adapter", "merge", saved, "--into", file, "--out", merged)
    saved.unlink()  # it would be looked at as a part
    bank = AdapterBank(base, [adapter])
    with bank.attached():
        bank.set_strengths(torch.ones(1, 1))
        want = numbers(base)[1]
    torch.testing.assert_close(numbers(load_base(merged))[1], want, rtol=1e-4, atol=1e-4)
    small = numbers(load_base(file, weights="int8"))[1]
    error = float((small - numbers(base)[1]).norm() / numbers(base)[1].norm())
    assert 0 < error < 0.05
