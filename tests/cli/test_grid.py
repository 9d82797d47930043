"""`lorasmith grid`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.cli.commands.grid import base_of, find_adapters
from lorasmith.cli.main import run
from lorasmith.errors import UsageError
from tests.adapters.drawing import trained_adapter


@pytest.fixture
def project(tmp_path: Path, tiny_base: Base) -> Path:
    """A project with two runs; the last one has two snapshots and a final adapter."""
    for seed, name in enumerate(("1/zbk", "2/snapshots/zbk-000001", "2/snapshots/zbk-000002", "2/zbk")):
        save_adapter(tmp_path / "runs" / f"{name}.safetensors", trained_adapter(tiny_base, seed=seed), torch.float32)
    return tmp_path


def test_which_adapters_are_meant(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert [file.stem for file in find_adapters(project)] == ["zbk-000001", "zbk-000002"]
    assert [file.stem for file in find_adapters(project / "runs" / "1")] == ["zbk"]
    assert find_adapters(project / "runs" / "2" / "zbk.safetensors")[0].stem == "zbk"
    with pytest.raises(UsageError, match="no adapter"):
        find_adapters(tmp_path_factory.mktemp("empty"))
    with pytest.raises(UsageError, match="no such file"):
        find_adapters(project / "nowhere")


def test_a_run_drawn_as_a_grid(
    project: Path, tiny_base_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["grid", str(project / "runs" / "2"), "--prompt", "red hat", "--strengths", "0.5", "--steps", "1"]
    words += ["--base", str(tiny_base_folder), "--out", str(tmp_path / "grids"), "--json"]
    assert run(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert Path(document["grid"]).name == "grid-0001.png"
    assert [(cell["x"], cell["y"], cell["z"]) for cell in document["cells"]] == [
        *(("no adapter", "zbk-000001", None), ("strength 0.5", "zbk-000001", None)),
        *(("no adapter", "zbk-000002", None), ("strength 0.5", "zbk-000002", None)),
    ]
    for cell in document["cells"]:
        with Image.open(cell["path"]) as picture:
            assert picture.size == (64, 64)
    assert run([*words, "--x", "steps=1,0"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert Path(again["grid"]).name == "grid-0002.png"
    assert "steps = 0" in again["cells"][1]["error"]
    assert "path" in again["cells"][0]


def test_the_base_is_the_projects_own(project: Path, tiny_base_folder: Path) -> None:
    file = project / "runs" / "1" / "zbk.safetensors"
    assert base_of(file) == "doodle"
    text = f'[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\nbase = "{tiny_base_folder}"\n'
    (project / "lora.toml").write_text(text)
    assert base_of(file) == str(tiny_base_folder)


def test_two_adapters_of_one_name(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = project / "runs"
    assert run(["grid", str(runs / "1"), str(runs / "2" / "zbk.safetensors"), "--prompt", "a"]) == 2
    assert "several adapters are named zbk" in capsys.readouterr().err
