"""Which tools take a file, and how much of it: said by us, counted in diffusers itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lorasmith.adapters.readers import Taken, spelling_of, tell_readers
from lorasmith.adapters.surgery.respelling import Spelling
from lorasmith.bases.base import Base, load_base
from lorasmith.cli.main import run
from tests.adapters.test_diffusers import pipeline_of
from tests.adapters.test_respelling import BUILT, file_of, there
from tests.families.anima_models import load_pipeline
from tests.families.klein_models import load_pipeline as load_klein
from tests.families.zimage_models import load_pipeline as load_zimage


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Base]]:
    folder = tmp_path_factory.mktemp("bases")
    paths = {name: BUILT[name](folder) for name in ("sd1", "anima", "zimage", "klein")}
    return {
        name: (path, load_base(path, prediction="epsilon" if path.is_file() else None)) for name, path in paths.items()
    }


def told(file: Path, base: Base) -> dict[str, Taken]:
    shapes = {key: tuple(each.shape) for key, each in load_file(file).items()}
    return {each.tool: each for each in tell_readers(shapes, base.family)}


def counted(pipeline: Any, file: Path) -> int | None:
    """The layers that diffusers really has after loading; None where it refuses the file."""
    try:
        pipeline.load_lora_weights(str(file))
    except (ValueError, IndexError):
        return None
    parts = ("unet", "transformer", "text_conditioner", "text_encoder", "text_encoder_2")
    models = [each for part in parts if (each := getattr(pipeline, part, None)) is not None]
    return sum(str(name).endswith("lora_A") for each in models for name, _ in each.named_modules())


@pytest.mark.parametrize("family", ["sd1", "anima", "zimage", "klein"])
@pytest.mark.parametrize("alpha", [3.0, 4.0])
@pytest.mark.parametrize("to", ["kohya", "comfyui", "diffusers"])
def test_what_is_said_of_diffusers_is_what_it_does(
    built: dict[str, tuple[Path, Base]],
    family: str,
    alpha: float,
    to: Spelling,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, base = built[family]
    file = there(file_of(tmp_path / "in", base, torch.float16, alpha=alpha), tmp_path / "x.safetensors", to, path)
    pipeline = (
        load_pipeline(base.folder, monkeypatch)
        if family == "anima"
        else {"zimage": load_zimage, "klein": load_klein}[family](base.folder)
        if family in ("zimage", "klein")
        else pipeline_of(load_base(path, prediction="epsilon"))
    )
    says = told(file, base)["diffusers"]
    found = counted(pipeline, file)
    assert (found is None) == bool(says.refused)
    assert (found or 0) == says.taken


def test_kohya_s_anima_file_is_nothing_for_diffusers(
    built: dict[str, tuple[Path, Base]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, base = built["anima"]
    file = file_of(tmp_path / "in", base, torch.float16)
    says = told(file, base)
    layers = says["ComfyUI"].layers
    assert (says["diffusers"].taken, says["ComfyUI"].taken, says["sd-scripts"].taken) == (0, layers, layers)
    assert run(["adapter", "verify", str(file), "--json"]) == 0
    tools = json.loads(capsys.readouterr().out)["adapters"][0]["tools"]
    assert {"tool": "diffusers", "taken": 0, "layers": layers, "refused": None} in tools
    assert run(["adapter", "verify", str(file)]) == 0
    assert f"diffusers: 0 of {layers} layers" in capsys.readouterr().out


def test_what_a_tool_does_not_read_is_refused_or_left(
    built: dict[str, tuple[Path, Base]],
    tmp_path: Path,
) -> None:
    _, base = built["sd1"]
    file = file_of(tmp_path / "in", base, torch.float16, algorithm="ia3")
    says = told(file, base)
    assert says["diffusers"].refused == "it does not read ia3 under these names"
    assert (says["ComfyUI"].taken, says["A1111"].taken) == (0, says["A1111"].layers)


@pytest.mark.parametrize(
    ("key", "spelling"),
    [
        ("lora_unet_blocks_0_x.lora_down.weight", "kohya"),
        ("lycoris_blocks_0_x.lokr_w1", "lycoris"),
        ("diffusion_model.blocks.0.x.lora_A.weight", "comfyui"),
        ("transformer.transformer_blocks.0.x.lora_A.weight", "diffusers"),
        ("base_model.model.x.lora_A.weight", "peft"),
        ("layers.0.x.lora_A.weight", "bare"),
    ],
)
def test_spellings_are_told(key: str, spelling: str) -> None:
    assert spelling_of(key) == spelling


def test_bare_names_are_nothing_for_diffusers(built: dict[str, tuple[Path, Base]], tmp_path: Path) -> None:
    path, base = built["zimage"]
    spelt = load_file(
        there(file_of(tmp_path / "in", base, torch.float16), tmp_path / "d.safetensors", "diffusers", path)
    )
    own = {key.removeprefix("transformer."): each for key, each in spelt.items() if key.startswith("transformer.")}
    save_file(own, tmp_path / "bare.safetensors")
    file = tmp_path / "bare.safetensors"
    assert told(file, base)["diffusers"].taken == counted(load_zimage(base.folder), file) == 0
