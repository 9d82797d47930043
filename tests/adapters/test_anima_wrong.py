"""What is typed wrong on Anima, one clear sentence each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.cli.main import run
from lorasmith.errors import AdapterError
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.steps.start import start_adapter
from lorasmith.training.unpacking import unpack
from tests.adapters.drawing import trained_adapter
from tests.families.anima_models import build_anima
from tests.projects import build_project


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return load_base(build_anima(tmp_path_factory.mktemp("anima") / "shallow"))


def test_an_adapter_of_sdxl(base: Base, family_folders: dict[str, Path]) -> None:
    theirs = trained_adapter(load_base(family_folders["sdxl"]))
    with pytest.raises(AdapterError, match=r"fits nothing on .*this base is shallow \(anima\)"):
        AdapterBank(base, [theirs])


def test_an_adapter_of_a_deeper_model(base: Base, tmp_path: Path) -> None:
    deep = load_base(build_anima(tmp_path / "deep", num_layers=3))
    file = save_adapter(tmp_path / "a.safetensors", trained_adapter(deep, text_encoder=False), torch.float32)
    with pytest.raises(
        AdapterError, match=r"10 of its 30 layers are not on shallow: lora_unet_blocks_2_cross_attn_k_proj"
    ) as fault:
        AdapterBank(base, [load_adapter(file)])
    assert str(fault.value.hint).startswith("It was made for a deeper Anima: of 3 blocks, this base has 2.")


def test_an_adapter_of_a_wider_model(base: Base, tmp_path: Path) -> None:
    wide = load_base(build_anima(tmp_path / "wide", num_attention_heads=3))
    file = save_adapter(tmp_path / "a.safetensors", trained_adapter(wide, text_encoder=False), torch.float32)
    with pytest.raises(AdapterError, match=r"is made for 48 x \d+, the layer has 32 x") as fault:
        AdapterBank(base, [load_adapter(file)])
    assert fault.value.hint == "Its Anima has other widths than this one."


def test_training_that_starts_from_a_deeper_model_s(base: Base, tmp_path: Path) -> None:
    """What can be left out where pictures are drawn is wanted there: no such remedy."""
    deep = load_base(build_anima(tmp_path / "deep", num_layers=3))
    save_adapter(tmp_path / "a.safetensors", trained_adapter(deep, text_encoder=False), torch.float32)
    recipe = read_recipe(build_project(tmp_path / "p", base=str(base.folder)), {"init": f'"{tmp_path}/a.safetensors"'})
    with pytest.raises(AdapterError, match="init: 10 of its 30 layers are not on shallow") as fault:
        start_adapter(base, unpack(recipe), tmp_path)
    assert fault.value.remedy is None
    assert "deeper Anima" in str(fault.value)


def test_plan_tells_of_a_start_from_a_deeper_model(
    base: Base, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = load_base(build_anima(tmp_path / "deep", num_layers=3))
    for name, of in (("deep", deep), ("same", base)):
        save_adapter(tmp_path / f"{name}.safetensors", trained_adapter(of, text_encoder=False), torch.float32)
    small = "resolution = 64\nbucket.min = 32\nbucket.step = 32\n"
    build_project(tmp_path / "p", f'{small}init = "{tmp_path}/deep.safetensors"', base=str(base.folder))
    assert run(["plan", str(tmp_path / "p")]) == 0
    assert "deep.safetensors: 10 of its 30 layers are not on the base. It was made for a deeper Anima" in " ".join(
        capsys.readouterr().err.split()
    )
    assert run(["plan", str(tmp_path / "p"), "--set", f'init="{tmp_path}/same.safetensors"']) == 0
    assert "init:" not in capsys.readouterr().err
