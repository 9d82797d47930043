"""Single-file checkpoints: true layouts against the library's own converters, sizes, predictions, refusals."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.checkpoint import read_checkpoint
from lorasmith.bases.detection import detect, examine
from lorasmith.bases.families.evidence import Evidence
from lorasmith.bases.probe import probe_prediction
from lorasmith.container import Header, TensorEntry, read_container
from lorasmith.diffusion.parametrisation import Discrete
from lorasmith.errors import BaseError
from tests.checkpoints import SMALL, TRUE, anatomy_of, original_tensors, write_checkpoint

FAMILIES = ("sd1", "sd2", "sdxl")


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small checkpoint of every family. Do not write to them."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {family: write_checkpoint(root / f"small-{family}.safetensors", family) for family in FAMILIES}


@cache
def _shapes(family: str, true: bool) -> dict[str, Tensor]:
    if true:
        return original_tensors(anatomy_of(family, TRUE[family], (128, 256, 512, 512)), seed=None)
    return original_tensors(anatomy_of(family, SMALL[family]), seed=None)


def shapes_of(family: str, true: bool = False) -> dict[str, Tensor]:
    """A checkpoint's tensors without memory, of a small model or of the public ones' sizes."""
    return dict(_shapes(family, true))


def header_of(tensors: dict[str, Tensor], **metadata: str) -> Header:
    return Header(metadata, {key: TensorEntry("F16", tuple(each.shape), 0, 0) for key, each in tensors.items()}, 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_are_read_from_the_shapes(family: str) -> None:
    for true, anatomy in (
        (True, anatomy_of(family, TRUE[family], (128, 256, 512, 512))),
        (False, anatomy_of(family, SMALL[family])),
    ):
        assert examine(Evidence(Path("a.safetensors"), header_of(shapes_of(family, true)))) == anatomy


@pytest.mark.parametrize(("family", "unet", "vae"), [("sd1", 686, 248), ("sd2", 686, 248), ("sdxl", 1680, 248)])
def test_the_number_of_keys_is_that_of_the_public_checkpoints(family: str, unet: int, vae: int) -> None:
    tensors = shapes_of(family, true=True)
    assert sum(key.startswith("model.diffusion_model.") for key in tensors) == unet
    assert sum(key.startswith("first_stage_model.") for key in tensors) == vae


@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_is_where_the_library_s_converters_look_for_it(family: str, checkpoints: dict[str, Path]) -> None:
    from diffusers.loaders import single_file_utils as oracle

    base = load_base(checkpoints[family], prediction="epsilon")
    assert (base.family.name, base.name) == (family, f"small-{family}")
    stored = load_file(checkpoints[family])
    unet = oracle.convert_ldm_unet_checkpoint(dict(stored), dict(base.denoiser.config))
    vae = oracle.convert_ldm_vae_checkpoint(dict(stored), dict(base.vae.config))
    for model, expected in ((base.denoiser, unet), (base.vae, vae)):
        own = model.state_dict()
        assert own.keys() == expected.keys()
        assert all(torch.equal(own[key], expected[key].reshape(own[key].shape)) for key in own)
    for encoder in base.text_encoders:
        own = {key.removeprefix("text_model."): weight for key, weight in encoder.model.state_dict().items()}
        if encoder.model.config.hidden_act == "quick_gelu":
            start = "conditioner.embedders.0.transformer." if family == "sdxl" else "cond_stage_model.transformer."
            text = {key[len(start) :]: each for key, each in stored.items() if key.startswith(start)}
        else:
            start = "conditioner.embedders.1.model." if family == "sdxl" else "cond_stage_model.model."
            text = oracle.convert_open_clip_checkpoint(encoder.model, dict(stored), prefix=start)
        text = {key.removeprefix("text_model."): each for key, each in text.items()}
        text = {key: each for key, each in text.items() if "position_ids" not in key}
        assert len(own) > 30
        assert own.keys() <= text.keys()
        assert all(torch.equal(own[key], text[key]) for key in own)
    assert len(base.text_encoders) == (2 if family == "sdxl" else 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_denoises(family: str, checkpoints: dict[str, Path]) -> None:
    base = load_base(checkpoints[family], prediction="epsilon")
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = base.denoise(x, torch.tensor([0.5]), base.encode(["a red hat"]))
    assert out.shape == x.shape
    assert bool(out.isfinite().all())
    assert base.resolution == (1024 if family == "sdxl" else 512)
    assert not any(parameter.requires_grad for parameter in base.denoiser.parameters())


def test_what_keeps_its_dtype_stays_mapped_from_the_file(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "half.safetensors", "sd1", dtype=torch.float16)
    parts = read_checkpoint(detect(path), torch.float16)
    maps = Path("/proc/self/maps")
    if maps.exists():
        lines = [line.split()[0].split("-") for line in maps.read_text().splitlines() if line.endswith(path.name)]
        spans = [(int(begin, 16), int(end, 16)) for begin, end in lines]
        starts = [parameter.data_ptr() for parameter in parts.denoiser.parameters()]
        assert all(any(begin <= start < end for begin, end in spans) for start in starts)
    assert load_base(path, torch.bfloat16, "epsilon").dtype == torch.bfloat16


class TestPrediction:
    def told(self, tmp_path: Path, **more: Any) -> tuple[str, bool]:
        header = header_of(shapes_of("sdxl") | more.pop("marks", {}), **more)
        anatomy = examine(Evidence(tmp_path / "m.safetensors", header))
        return str(anatomy.prediction), anatomy.zero_snr

    def test_by_marks_metadata_and_neighbour(self, tmp_path: Path) -> None:
        mark = torch.empty(0)
        assert self.told(tmp_path) == ("None", False)
        assert self.told(tmp_path, marks={"v_pred": mark, "ztsnr": mark}) == ("v_prediction", True)
        assert self.told(tmp_path, **{"modelspec.prediction_type": "v"}) == ("v_prediction", False)
        assert self.told(tmp_path, **{"modelspec.prediction_type": "epsilon"}) == ("epsilon", False)
        (tmp_path / "m.yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
        assert self.told(tmp_path) == ("v_prediction", False)
        (tmp_path / "m.yaml").write_text("[" * 5000)
        assert self.told(tmp_path) == ("None", False)

    @pytest.mark.parametrize(
        ("denoiser", "expected"),
        [
            (lambda x: 0.97 * x + 0.1, "epsilon"),
            (lambda x: -0.3 * x.mean(dim=(2, 3), keepdim=True).expand_as(x) - 0.2 * x.flip(-1), "v_prediction"),
        ],
    )
    def test_by_one_pass(
        self, denoiser: Callable[[Tensor], Tensor], expected: str, tiny_base: Base, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tiny_base, "denoise", lambda x, _t, _context: denoiser(x))
        assert probe_prediction(tiny_base) == expected

    def test_velocity_on_sdxl_ends_in_pure_noise_and_a_word_overrides(self, tmp_path: Path) -> None:
        path = write_checkpoint(tmp_path / "v.safetensors", "sdxl", metadata={"modelspec.prediction_type": "v"})
        schedule = load_base(path).parametrisation
        assert isinstance(schedule, Discrete)
        assert schedule.prediction == "v_prediction"
        assert float(schedule.alphas_cumprod[-1]) == 0
        schedule = load_base(path, prediction="epsilon").parametrisation
        assert isinstance(schedule, Discrete)
        assert schedule.prediction == "epsilon"
        assert float(schedule.alphas_cumprod[-1]) > 0


def test_a_folder_s_prediction_can_be_overridden(tiny_base_folder: Path) -> None:
    assert load_base(tiny_base_folder, prediction="v_prediction").parametrisation.prediction == "v_prediction"


UNET, VAE = "model.diffusion_model.", "first_stage_model."
REFUSED: dict[str, tuple[str, str]] = {
    # a key that makes it so, and the word for it
    "sd1 lora_unet_x.lora_up.weight": ("adapter", "adapter"),
    "sd1 control_model.x": ("control", "ControlNet"),
    "sd1 model.diffusion_model.joint_blocks.0.x": ("sd3", "Stable Diffusion 3"),
    "sd1 model.diffusion_model.double_blocks.0.img_attn.qkv.weight": ("flux", "Flux"),
    "sd1 double_blocks.0.img_attn.qkv.weight": ("flux", "Flux"),
    "sdxl conditioner.embedders.0.model.ln_final.weight": ("refiner", "refiner"),
    "sd1 down_blocks.0.resnets.0.conv1.weight": ("part", "one part of a model"),
    "sd1 transformer_blocks.0.attn.to_q.weight": ("dit", "diffusion transformer"),
    "sd1 model.diffusion_model.input_blocks.1.1.time_stack.0.x": ("svd", "Video"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_models_are_refused_by_name(case: str) -> None:
    family, key = case.split(" ")
    tensors = shapes_of(family) | {key: torch.empty(1)}
    with pytest.raises(BaseError, match=REFUSED[case][1]):
        examine(Evidence(Path("a.safetensors"), header_of(tensors)))


@pytest.mark.parametrize(
    ("channels", "word"), [(9, "inpainting"), (8, "InstructPix2Pix"), (5, "depth"), (7, "upscaler")]
)
def test_other_channels_are_refused_by_name(channels: int, word: str) -> None:
    tensors = shapes_of("sd2")
    tensors[f"{UNET}input_blocks.0.0.weight"] = torch.empty(64, channels, 3, 3)
    with pytest.raises(BaseError, match=word):
        examine(Evidence(Path("a.safetensors"), header_of(tensors)))


@pytest.mark.parametrize(
    ("left_out", "word"), [(VAE, "no VAE"), ("cond_stage_model.", "text encoder"), (UNET, "no UNet")]
)
def test_parts_that_are_missing_are_named(left_out: str, word: str) -> None:
    tensors = shapes_of("sd1")
    rest = {key: each for key, each in tensors.items() if not key.startswith(left_out)}
    with pytest.raises(BaseError, match=word):
        examine(Evidence(Path("a.safetensors"), header_of(rest)))


def test_a_text_encoder_without_layers_is_told() -> None:
    layers = "cond_stage_model.transformer.text_model.encoder.layers."
    tensors = {key: each for key, each in shapes_of("sd1").items() if not key.startswith(layers)}
    with pytest.raises(BaseError, match="another structure or incomplete"):
        examine(Evidence(Path("a.safetensors"), header_of(tensors)))


def test_fewer_blocks_are_told() -> None:
    tensors = shapes_of("sdxl")
    del tensors[f"{UNET}input_blocks.7.0.in_layers.2.weight"]
    with pytest.raises(BaseError, match="another structure or incomplete"):
        examine(Evidence(Path("a.safetensors"), header_of(tensors)))


class TestDamaged:
    @pytest.fixture
    def stored(self, checkpoints: dict[str, Path]) -> dict[str, Tensor]:
        return cast(dict[str, Tensor], load_file(checkpoints["sd1"]))

    def test_a_missing_weight(self, stored: dict[str, Tensor], tmp_path: Path) -> None:
        del stored[f"{UNET}middle_block.1.norm.bias"]
        save_file(stored, tmp_path / "a.safetensors")
        with pytest.raises(BaseError, match=r"lacks model\.diffusion_model\.middle_block\.1\.norm\.bias"):
            load_base(tmp_path / "a.safetensors")

    def test_another_shape(self, stored: dict[str, Tensor], tmp_path: Path) -> None:
        stored[f"{UNET}out.2.bias"] = torch.zeros(5)
        save_file(stored, tmp_path / "a.safetensors")
        with pytest.raises(BaseError, match=r"out\.2\.bias has the shape \(5,\) instead of \(4,\)"):
            load_base(tmp_path / "a.safetensors")

    def test_nan(self, stored: dict[str, Tensor], tmp_path: Path) -> None:
        stored[f"{UNET}out.2.bias"][1] = float("nan")
        save_file(stored, tmp_path / "a.safetensors")
        with pytest.raises(BaseError, match=r"out\.2\.bias holds NaN"):
            load_base(tmp_path / "a.safetensors")

    def test_cut_short_or_pickled(self, checkpoints: dict[str, Path], tmp_path: Path) -> None:
        short = tmp_path / "short.safetensors"
        short.write_bytes(checkpoints["sd1"].read_bytes()[:-100])
        with pytest.raises(BaseError, match="cut short"):
            load_base(short)
        pickled = tmp_path / "old.ckpt"
        torch.save({"state_dict": {}}, pickled)
        with pytest.raises(BaseError, match="pickled"):
            load_base(pickled)
        assert read_container(checkpoints["sd1"], BaseError, "a base").tensors
