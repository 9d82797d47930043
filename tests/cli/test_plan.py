"""lorasmith plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.cli.main import run
from tests.projects import build_project


def test_json_has_the_stable_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build_project(tmp_path / "p", folder="3_primary")
    assert (
        run(["plan", str(tmp_path / "p"), "--set", "epochs=2", "--set", "batch_size=2", "--json", "--no-rehearse"]) == 0
    )
    plan = json.loads(capsys.readouterr().out)
    assert {"images", "buckets", "steps_per_epoch", "steps", "seconds", "bytes"} <= plan.keys()
    assert plan["time_from"] == "a guess"
    assert [image["repeats"] for image in plan["images"]] == [3, 3, 3]
    # six square rows and three wide ones, in batches of two
    assert (plan["steps_per_epoch"], plan["steps"]) == (5, 10)
    assert sorted(bucket["batches"] for bucket in plan["buckets"]) == [2, 3]


def test_a_person_sees_steps_and_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build_project(tmp_path / "p")
    assert run(["plan", str(tmp_path / "p"), "--set", "epochs=2", "--no-rehearse"]) == 0
    out = capsys.readouterr().out
    assert "a guess" in out
    assert "2 epochs of" in out
    assert "next: lorasmith train" in out


def test_the_first_plan_rehearses_and_the_next_remembers(
    tmp_path: Path, tiny_base_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = build_project(tmp_path / "p", "resolution = 64\nbatch_size = 2\nrank = 2", base=str(tiny_base_folder))
    told = []
    for arguments in ([], [], ["--rehearse"], ["--no-rehearse"]):
        assert run(["plan", str(project.root), "--set", "epochs=2", "--json", *arguments]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert [each["time_from"] for each in told] == ["a rehearsal", "a run", "a rehearsal", "a run"]
    assert told[0]["seconds"] == told[1]["seconds"]
    assert all(0 < each["preparing"] < each["seconds"] for each in told)
    assert list(project.cache.glob("*/prior*")) == []
    assert not project.runs.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--set", "rnak=3"], 4, 'Did you mean "rank"?'),
        (["--set", "rank=0"], 4, "greater than or equal to 1"),
        (["--set", "rank"], 2, "key=value"),
    ],
)
def test_wrong_values_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    build_project(tmp_path / "p")
    assert run(["plan", str(tmp_path / "p"), *arguments]) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
