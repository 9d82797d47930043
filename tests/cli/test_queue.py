"""lorasmith queue: what its commands say, and that a real job trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lorasmith.cli.main import run
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket.enabled = false
rank = 1
layers = ["attention"]
epochs = 1
lr.text_encoder = 0
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORASMITH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def say(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run(["queue", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_job_from_the_line_to_the_file(
    tmp_path: Path, tiny_base_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = str(build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder)).root)
    job = say(capsys, "add", project, "--set", "rank=2")
    assert (job["id"], job["state"], job["assignments"]) == (1, "waiting", ["rank=2"])
    assert say(capsys, "cancel", "1")["state"] == "cancelled"
    assert say(capsys, "retry", "1")["state"] == "waiting"
    assert run(["queue", "run", "--device", "cpu"]) == 0
    assert "1 done, 0 failed, 0 cancelled." in capsys.readouterr().out
    listed = say(capsys, "list")["jobs"][0]
    assert (listed["state"], listed["step"], listed["steps"]) == ("done", 1, 1)
    assert list(Path(listed["run"]).glob("*.safetensors"))
    assert run(["queue", "list"]) == 0
    assert "done" in capsys.readouterr().out
    assert say(capsys, "remove", "1")["id"] == 1
    assert say(capsys, "list")["jobs"] == []
    assert list(Path(listed["run"]).glob("*.safetensors")), "what was trained stays"


def test_what_cannot_wait_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build_project(tmp_path / "p", RECIPE)
    assert run(["queue", "add", str(tmp_path / "p"), "--set", "rnak=2"]) == 4
    assert 'Did you mean "rank"?' in capsys.readouterr().err
    assert run(["queue", "add", str(tmp_path / "absent")]) == 3
    assert run(["queue", "cancel", "7"]) == 2
    assert "there is no job 7" in capsys.readouterr().err
