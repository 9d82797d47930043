"""lorasmith train."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.cli.main import run
from lorasmith.events import Done
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket.step = 32
rank = 2
clip_skip = 1
epochs = 2
lr.text_encoder = 0
"""


def test_json_lines_end_with_done(tmp_path: Path, tiny_base_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))
    assert run(["train", str(tmp_path / "p"), "--set", "rank=1", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    done = lines[-1]
    assert done["event"] == Done.name
    assert Path(done["adapter"]).is_file()
    assert Path(done["adapter"]).parent == Path(done["run"])
    assert [line["step"] for line in lines if line["event"] == "step"] == [1, 2, 3, 4]


def test_a_missing_folder_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", str(tmp_path / "absent")]) == 3
    assert "no such folder" in capsys.readouterr().err


def test_the_table_of_a_sweep_is_seen(
    tmp_path: Path, tiny_base_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder)).root
    assert run(["train", str(root), "--sweep"]) == 3
    assert "no [sweep] table" in capsys.readouterr().err
    file = root / "lora.toml"
    file.write_text(file.read_text() + "\n[sweep]\nrank = [1, 2]\n")
    assert run(["train", str(root), "--set", "epochs=1", "--json"]) == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert done["event"] == "sweep_done"
    assert {name: Path(made["adapter"]).name for name, made in done["variants"].items()} == {
        "rank1": "zbk-rank1.safetensors",
        "rank2": "zbk-rank2.safetensors",
    }
    assert run(["train", str(root), "--set", "epochs=1", "--resume"]) == 0
    assert "zbk-rank2.safetensors" in capsys.readouterr().out
    assert run(["train", str(root), "--no-sweep", "--set", "epochs=1", "--run", str(tmp_path / "r"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["run"] == str(tmp_path / "r")
