"""`convert --to`: every family's files in every tool's spelling, and back; what diffusers and PEFT make of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lorasmith.adapters.description import describe, problems_of
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.adapters.spelling.names import origin_of
from lorasmith.adapters.surgery.respelling import Spelling, respell
from lorasmith.bases.base import Base, load_base
from lorasmith.errors import AdapterError
from tests.adapters.drawing import trained_adapter
from tests.adapters.test_diffusers import pipeline_of
from tests.checkpoints import write_checkpoint
from tests.families.anima_models import build_anima, load_pipeline
from tests.families.klein_models import build_klein
from tests.families.zimage_models import build_zimage
from tests.families.zimage_models import load_pipeline as load_zimage

BUILT: dict[str, Callable[[Path], Path]] = {
    "sd1": lambda folder: write_checkpoint(folder / "sd1.safetensors", "sd1"),
    "sdxl": lambda folder: write_checkpoint(folder / "sdxl.safetensors", "sdxl"),
    "anima": lambda folder: build_anima(folder / "anima"),
    "zimage": lambda folder: build_zimage(folder / "zimage"),
    "klein": lambda folder: build_klein(folder / "klein"),
}
COMFYUI = {
    "sd1": ("diffusion_model.input_blocks.1.1.", "text_encoders.clip_l.transformer.text_model.encoder.layers.0."),
    "sdxl": ("diffusion_model.input_blocks.4.1.", "text_encoders.clip_g.transformer.text_model.encoder.layers.0."),
    "anima": ("diffusion_model.blocks.0.self_attn.q_proj.", "text_encoders.qwen3_06b.transformer.model.layers.0."),
    "zimage": ("diffusion_model.layers.0.attention.to_q.", "text_encoders.qwen3_4b.transformer.model.layers.0."),
    "klein": ("transformer.transformer_blocks.0.attn.to_q.", "text_encoders.qwen3_4b.transformer.model.layers.0."),
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Base]]:
    folder = tmp_path_factory.mktemp("bases")
    paths = {name: build(folder) for name, build in BUILT.items()}
    return {
        name: (path, load_base(path, prediction="epsilon" if path.is_file() else None)) for name, path in paths.items()
    }


def metadata_of(file: Path) -> dict[str, str]:
    with safe_open(file, "pt") as opened:
        return dict(opened.metadata())


def file_of(folder: Path, base: Base, dtype: torch.dtype, alpha: float = 3.0, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    version = {"ss_base_model_version": base.family.header_facts().version}  # sizes so small tell nothing
    adapter = replace(trained_adapter(base, rank=4, alpha=alpha, **more), metadata=version)
    return save_adapter(folder / "a.safetensors", adapter, dtype, as_kohya=True)


def there(file: Path, out: Path, to: Spelling, base: Path) -> Path:
    return respell(file, out, to, str(base))[0][0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("family", list(BUILT))
def test_comfyui_s_spelling_and_back_to_the_bit(
    bases: dict[str, tuple[Path, Base]], family: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    path, base = bases[family]
    file = file_of(tmp_path / "in", base, dtype)
    spelt = there(file, tmp_path / "c.safetensors", "comfyui", path)
    keys = load_file(spelt).keys()
    for start in COMFYUI[family]:
        assert any(key.startswith(start) and key.endswith("lora_A.weight") for key in keys), start
    assert {key.split(".")[0] for key in keys} == {start.split(".")[0] for start in COMFYUI[family]}
    assert origin_of(load_adapter(spelt)).family is base.family
    again = there(spelt, tmp_path / "k.safetensors", "kohya", path)
    before, after = load_file(file), load_file(again)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) and before[key].dtype == after[key].dtype for key in before)
    assert not problems_of(describe(spelt))


@pytest.mark.parametrize("family", list(BUILT))
def test_diffusers_spelling_and_back_to_the_bit_where_alpha_is_a_power_of_two(
    bases: dict[str, tuple[Path, Base]], family: str, tmp_path: Path
) -> None:
    path, base = bases[family]
    file = file_of(tmp_path / "in", base, torch.float16, alpha=2.0)
    spelt = there(file, tmp_path / "d.safetensors", "diffusers", path)
    again = there(spelt, tmp_path / "k.safetensors", "kohya", path)
    before, after = load_file(file), load_file(again)
    assert before.keys() == after.keys()
    for key, tensor in before.items():
        scale = 0.5 if key.endswith("lora_up.weight") else 2.0 if key.endswith("alpha") else 1.0
        assert torch.equal(tensor * scale, after[key]), key


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr", "glora", "full", "oft", "dylora"])
def test_every_algorithm_that_comfyui_reads(
    bases: dict[str, tuple[Path, Base]], algorithm: str, tmp_path: Path
) -> None:
    path, base = bases["anima"]
    file = file_of(tmp_path / "in", base, torch.float16, algorithm=algorithm)
    spelt = there(file, tmp_path / "c.safetensors", "comfyui", path)
    before, after = load_file(file), load_file(there(spelt, tmp_path / "k.safetensors", "kohya", path))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_what_comfyui_does_not_read_says_so(bases: dict[str, tuple[Path, Base]], tmp_path: Path) -> None:
    path, base = bases["sd1"]
    file = file_of(tmp_path / "in", base, torch.float16, algorithm="ia3")
    with pytest.raises(AdapterError, match="is a ia3, which ComfyUI does not read"):
        respell(file, tmp_path / "c.safetensors", "comfyui", str(path))


def test_alpha_stands_only_where_multiplying_it_in_would_round(
    bases: dict[str, tuple[Path, Base]], tmp_path: Path
) -> None:
    path, base = bases["anima"]
    for alpha, stands in ((4.0, False), (1.0, False), (3.0, True)):
        file = file_of(tmp_path / f"{alpha}", base, torch.float16, alpha=alpha)
        spelt = there(file, tmp_path / f"{alpha}.safetensors", "comfyui", path)
        assert any(key.endswith(".alpha") for key in load_file(spelt)) == stands


def test_metadata_are_those_that_each_tool_has(bases: dict[str, tuple[Path, Base]], tmp_path: Path) -> None:
    path, base = bases["anima"]
    bare = tmp_path / "bare.safetensors"
    tensors = load_file(
        there(
            file_of(tmp_path / "in", base, torch.float16, text_encoder=False),
            tmp_path / "c0.safetensors",
            "comfyui",
            path,
        )
    )
    save_file(tensors, bare, {"modelspec.trigger_phrase": "zbk", "lora_adapter_metadata": "{}", "sshs_model_hash": "0"})
    kohya = metadata_of(there(bare, tmp_path / "k.safetensors", "kohya", path))
    assert kohya["ss_network_module"] == "networks.lora_anima"
    assert (kohya["ss_network_dim"], kohya["ss_network_alpha"], kohya["ss_base_model_version"]) == ("4", "3.0", "anima")
    assert (kohya["modelspec.trigger_phrase"], "lora_adapter_metadata" in kohya) == ("zbk", False)
    comfyui = metadata_of(there(bare, tmp_path / "c.safetensors", "comfyui", path))
    assert (comfyui["modelspec.trigger_phrase"], comfyui["sshs_model_hash"] != "0") == ("zbk", True)
    diffusers = metadata_of(there(bare, tmp_path / "d.safetensors", "diffusers", path))
    told = json.loads(diffusers["lora_adapter_metadata"])
    assert (told["transformer.r"], told["transformer.lora_alpha"]) == (4, 4)
    assert "sshs_model_hash" not in diffusers
    assert diffusers["format"] == "pt"


def test_diffusers_reads_the_metadata_and_every_layer(
    bases: dict[str, tuple[Path, Base]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, base = bases["anima"]
    file = file_of(tmp_path / "in", base, torch.float16, text_encoder=False)
    spellings: tuple[Spelling, ...] = ("diffusers", "comfyui", "kohya")
    for to in spellings[:2]:
        alpha = 4.0 if to == "comfyui" else 3.0  # with an alpha diffusers refuses ComfyUI's
        file = file_of(tmp_path / to, base, torch.float16, alpha=alpha, text_encoder=False)
        pipeline = load_pipeline(base.folder, monkeypatch)
        pipeline.load_lora_weights(str(there(file, tmp_path / f"{to}.safetensors", to, path)))
        taken = sum(name.endswith("lora_A") for name, _ in pipeline.transformer.named_modules())
        assert taken == len(load_adapter(file).layers)
    path, base = bases["zimage"]
    for to in spellings:
        file = file_of(tmp_path / f"z{to}", base, torch.float16, text_encoder=False)
        pipeline = load_zimage(base.folder)
        pipeline.load_lora_weights(str(there(file, tmp_path / f"z{to}.safetensors", to, path)))
        taken = sum(name.endswith("lora_A") for name, _ in pipeline.transformer.named_modules())
        assert taken == len(load_adapter(file).layers)


def test_diffusers_reads_text_encoders_too(bases: dict[str, tuple[Path, Base]], tmp_path: Path) -> None:
    path, base = bases["sd1"]
    spelt = there(file_of(tmp_path / "in", base, torch.float16), tmp_path / "d.safetensors", "diffusers", path)
    pipeline = pipeline_of(load_base(path, prediction="epsilon"))
    pipeline.load_lora_weights(str(spelt))
    parts = (pipeline.unet, pipeline.text_encoder)
    taken = sum(name.endswith("lora_A") for part in parts for name, _ in part.named_modules())
    assert taken == len(load_adapter(spelt).layers)
