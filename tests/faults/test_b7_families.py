"""B7: the header's family and the layers' names go before shapes; an unknown family is named by its header."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from lorasmith.adapters.description import describe
from lorasmith.adapters.files import load_adapter
from lorasmith.adapters.spelling.names import origin_of
from lorasmith.bases.families import FAMILIES
from lorasmith.cli.main import run
from tests.faults.make_adapters import KOHYA, Tensors, lora, make_adapter

SD = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
DIT = "lora_unet_transformer_blocks_0_attn2_to_k"
CLIP = "text_model_encoder_layers_0_self_attn_q_proj"


def family(path: Path, tensors: Tensors, **metadata: str) -> str | None:
    save_file(tensors, path, {key.replace("__", "."): value for key, value in metadata.items()})
    return describe(path).family


@pytest.mark.parametrize("header", ["anima", "flux1", "sd3m", "lumina2"])
def test_an_unknown_family_is_named_by_its_header(header: str, tmp_path: Path) -> None:
    """sd-scripts, library/strategy_*.py and train_network.py: ss_base_model_version."""
    path = tmp_path / "a.safetensors"
    if header not in FAMILIES:
        assert family(path, lora(DIT, 1024, 2048), ss_base_model_version=header) == header
    assert family(path, lora(DIT, 1024, 2048)) == "anima", "the width of SD 2's text is no sign of SD 2"
    assert family(path, lora(DIT, 2048, 2048)) is None
    assert family(path, lora(DIT, 1024, 2048), modelspec__architecture="a-new-one/lora") == "a-new-one"


def test_the_header_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for version, name in (("sd_v1", "sd1"), ("sd_v2_v", "sd2"), ("sdxl_base_v1-0", "sdxl"), ("sd_1.5", "sd1")):
        assert family(path, lora(SD, 999, 640), ss_base_model_version=version) == name
    for architecture, name in (
        ("stable-diffusion-v1/lora", "sd1"),
        ("stable-diffusion-v2-768-v/lora", "sd2"),
        ("stable-diffusion-xl-v1-base/lora", "sdxl"),
    ):
        assert family(path, lora(SD, 999, 640), modelspec__architecture=architecture) == name


def test_names_go_before_shapes_and_shapes_tell_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    assert family(path, lora(SD, 768, 640)) == "sd1"
    assert family(path, lora(SD, 1024, 640)) == "sd2"
    assert family(path, lora(SD, 2048, 640)) == "sdxl"
    assert family(path, lora(KOHYA, 2048, 640)) == "sdxl"
    assert family(path, lora(f"lora_te2_{CLIP}", 1280, 1280)) == "sdxl"
    assert family(path, lora(f"lora_te_{CLIP}", 1024, 1024)) == "sd2"
    assert family(path, lora(f"lora_te_{CLIP}", 768, 768)) is None, "SD 1 and SDXL have it alike"
    block = "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    assert family(path, lora(f"lora_unet_{block}", 128, 128), ss_base_model_version="sd_v1") == "doodle"


def test_a_family_s_own_word_that_nobody_knows_is_no_hindrance(tmp_path: Path) -> None:
    """Trainers write names of models where kohya has a family; all names and sizes are SDXL's."""
    path = tmp_path / "a.safetensors"
    assert family(path, lora(KOHYA, 2048, 640), ss_base_model_version="illustrious") == "sdxl"
    sd3 = lora(f"lora_te2_{CLIP}", 1280, 1280) | lora("lora_unet_joint_blocks_0_x_block_attn_qkv", 1536, 4608)
    assert family(path, sd3, ss_base_model_version="sd3m") == "sd3m"


def test_what_cannot_be_done_says_whose_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = make_adapter(tmp_path, "anima_header_sd2_width")
    if origin_of(load_adapter(file)).family is not None:
        pytest.skip("the family is known by now")
    assert run(["adapter", "show", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["adapters"][0]["family"] == "anima"
    assert run(["adapter", "convert", str(file), "--to", "diffusers", "--out", str(tmp_path / "o.safetensors")]) == 7
    assert "it is for anima, which is no known family" in capsys.readouterr().err
    draw = ["generate", "a hat <lora:anima_header_sd2_width:1>", "--adapters", str(tmp_path), "--steps", "1"]
    assert run([*draw, "--out", str(tmp_path / "drawn")]) == 7
    assert "It was made for anima; this base is doodle" in capsys.readouterr().err
