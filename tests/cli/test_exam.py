"""`lorasmith exam`: what it calls, what it prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lorasmith.cli.main import run
from lorasmith.events import Work
from lorasmith.exam import run as exam_run
from lorasmith.exam.examination import examine
from lorasmith.exam.settings import read_settings
from lorasmith.exam.verdict import Verdict
from lorasmith.project import Project
from tests.exam.toy import WORLD, ToyArtist, ToyJudge, make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toy project with one trained adapter, examined by toys."""

    def run_exam(
        project: Project, snapshots: Sequence[Path] | None = None, overrides: Mapping[str, Any] | None = None
    ) -> Work[Verdict]:
        files = list(snapshots or [project.root / "runs" / "r" / "toy.safetensors"])
        artist = ToyArtist({path.stem: 0.9 for path in files})
        return examine(project, files, artist, read_settings(project, overrides), ToyJudge(), WORLD)

    monkeypatch.setattr(exam_run, "run_exam", run_exam)
    root = make_project(tmp_path / "p")
    (root / "runs" / "r").mkdir(parents=True)
    (root / "runs" / "r" / "toy.safetensors").write_bytes(b"")
    return root


def test_json_is_one_document_of_the_stable_shape(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exam", str(project), "--pictures", "24", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    for name in ("hit_rate", "flexibility", "leakage", "copying"):
        assert set(document["figures"][name]) == {"value", "low", "high", "n"}
    assert document["figures"]["hit_rate"]["n"] == 24
    assert set(document["figures"]["base"]) >= {"hit_rate", "flexibility"}
    assert document["chosen"] == str(project / "runs" / "r" / "toy.safetensors")
    assert Path(document["report"]).is_file()


def test_a_person_reads_figures_and_the_next_step(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapter = project / "runs" / "r" / "toy.safetensors"
    assert run(["exam", str(adapter), "--pictures", "24"]) == 0
    shown = capsys.readouterr()
    assert "hit rate" in shown.out
    assert "n = 24" in shown.out
    assert "next:" in shown.out
    assert "The subject, as the judge sees it: ink style, jade hair, brown skin." in shown.err


def test_an_adapter_outside_any_project_needs_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.safetensors"
    assert run(["exam", str(file)]) == 10
    assert "no such adapter file" in capsys.readouterr().err
    file.write_bytes(b"")
    assert run(["exam", str(file)]) == 10
    assert "--snapshots" in capsys.readouterr().err


def test_questions_are_written_and_nothing_is_drawn(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exam_run, "find_judge", lambda *_: (ToyJudge(), WORLD))
    file = tmp_path / "questions.toml"
    assert run(["exam", str(project), "--write-questions", str(file)]) == 0
    assert "[[hit]]" in file.read_text()
    assert not (project / "exams").exists()
    assert run(["exam", str(project), "--write-questions", str(file)]) != 0


def test_a_quick_exam_is_small_and_tells_its_strength(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exam", str(project), "--quick"]) == 0
    shown = capsys.readouterr()
    assert "n = 48" in shown.out
    assert "recommended; usable" in shown.out
    assert "judged: style, hair, skin, whole pictures" in shown.out
    drawn = int(shown.err.split("The exam draws about ")[1].split()[0])
    assert drawn <= 240
