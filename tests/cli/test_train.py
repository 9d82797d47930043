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
