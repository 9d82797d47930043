"""lorasmith plan."""

from __future__ import annotations

import json
import subprocess
import sys
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


def test_a_plan_rehearses_when_asked_and_the_next_remembers(
    tmp_path: Path, tiny_base_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = build_project(tmp_path / "p", "resolution = 64\nbatch_size = 2\nrank = 2", base=str(tiny_base_folder))
    plans = []
    for arguments in ([], ["--rehearse"], [], ["--no-rehearse"]):
        assert run(["plan", str(project.root), "--set", "epochs=2", "--json", *arguments]) == 0
        plans.append(json.loads(capsys.readouterr().out))
    assert [each["time_from"] for each in plans] == ["a guess", "a rehearsal", "a run", "a run"]
    assert plans[1]["seconds"] == plans[2]["seconds"]
    assert all(0 < each["preparing"] <= each["seconds"] for each in plans), "told to a tenth of a second"
    assert list(project.cache.glob("*/prior*")) == []
    assert not project.runs.exists()


@pytest.mark.parametrize("settings", [["resolution=768"], ["resolution=1024", "batch_size=64"]])
def test_a_plan_of_any_size_is_arithmetic(tmp_path: Path, settings: list[str]) -> None:
    """No weights are opened and no torch is imported, whatever is asked for."""
    project = build_project(tmp_path / "p")
    words = [word for setting in settings for word in ("--set", setting)]
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lorasmith.cli.main import run\n"
        f"assert run(['plan', {str(project.root)!r}, '--json', *{words!r}]) == 0\n"
        "assert 'torch' not in sys.modules\n"
        "lines = Path('/proc/self/status').read_text().splitlines() if Path('/proc/self/status').exists() else ()\n"
        "assert all(int(line.split()[1]) < 500_000 for line in lines if line.startswith('VmHWM'))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["time_from"] == "a guess"


def test_a_small_base_of_a_large_family_is_planned_by_its_own_size(
    tmp_path: Path, tiny_base_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = build_project(tmp_path / "p", "resolution = 64\nepochs = 1", base=str(tiny_base_folder))
    assert run(["plan", str(project.root), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["bytes"] < 2e9
    assert plan["seconds"] < 600


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


def test_a_card_is_known_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = build_project(tmp_path / "p").root
    assert run(["plan", str(root), "--gpu", "l4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["card"] == 24 * 2**30
    assert run(["plan", str(root), "--gpu", "L5"]) == 2
    assert "Known: T4, V100, L4" in " ".join(capsys.readouterr().err.split())
