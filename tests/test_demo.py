"""The demo's road with its slow stages replaced: what it leaves, and that it goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith import demo as road
from lorasmith import examples
from lorasmith.cli.main import run
from lorasmith.errors import ProjectError
from lorasmith.events import Note, Work, finish
from lorasmith.exam import run as exam_run
from lorasmith.exam.examination import examine
from lorasmith.exam.settings import read_settings
from lorasmith.exam.verdict import Verdict
from lorasmith.project import Project
from tests.exam.toy import WORLD, ToyArtist, ToyJudge, make_project

held: list[str] = []


@pytest.fixture(autouse=True)
def _toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy example; training writes a file once; the exam is a toy's."""
    make_project(tmp_path / "shipped" / "character", "pictures = 16")
    monkeypatch.setattr(examples, "_HERE", tmp_path / "shipped")
    held.clear()

    def train(project: Project) -> Work[Path]:
        adapter = project.root / "runs" / "r" / "toy.safetensors"
        if not adapter.exists():
            adapter.parent.mkdir(parents=True)
            adapter.write_bytes(b"factors")
        return adapter
        yield

    def run_exam(project: Project) -> Work[Verdict]:
        held.append(project.lora.name)
        adapter = project.root / "runs" / "r" / "toy.safetensors"
        settings = read_settings(project)
        verdict = yield from examine(project, [adapter], ToyArtist({"toy": 0.95}), settings, ToyJudge(), WORLD)
        return verdict

    monkeypatch.setattr(road, "_train", train)
    monkeypatch.setattr(exam_run, "run_exam", run_exam)


def test_the_road_leaves_its_four_files(tmp_path: Path) -> None:
    notes: list[str] = []
    made = finish(
        road.run_demo(tmp_path / "out"),
        lambda event: notes.append(event.message) if isinstance(event, Note) else None,
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "project",
        "adapter.safetensors",
        "grid.png",
        "report.html",
        "figures.json",
    }
    assert made.adapter.read_bytes() == b"factors"
    assert json.loads(made.figures.read_text())["figures"]["hit_rate"]["n"] == 16
    assert [note.split(":")[0] for note in notes[:3]] == ["inspect", "tag", "plan"]
    strength = json.loads(made.figures.read_text())["strength"]["recommended"]
    assert any(f"<lora:adapter:{strength:g}>" in str(step) for step in made.next_steps())


def test_a_second_call_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    first = finish(road.run_demo(tmp_path / "out"))
    assert held == ["toy"]
    first.report.unlink()
    again = finish(road.run_demo(tmp_path / "out"))
    assert held == ["toy"]
    assert again.report.is_file()
    assert again.document == first.document
    # A newer adapter deserves a new exam.
    adapter = first.project / "runs" / "r" / "toy.safetensors"
    adapter.write_bytes(b"other factors")
    finish(road.run_demo(tmp_path / "out"))
    assert held == ["toy", "toy"]


def test_a_half_copied_example_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copytree", fail)
    assert run(["demo", "--out", str(tmp_path / "out")]) == 11
    assert not (tmp_path / "out" / "project").exists()


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out" / "project").mkdir(parents=True)
    (tmp_path / "out" / "project" / "mine.txt").write_text("mine")
    with pytest.raises(ProjectError, match="holds other things"):
        finish(road.run_demo(tmp_path / "out"))
    assert (tmp_path / "out" / "project" / "mine.txt").read_text() == "mine"


def test_unknown_examples_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--out", str(tmp_path / "out"), "--example", "caracter"]) == 3
    assert 'Did you mean "character"?' in capsys.readouterr().err


def test_the_command_prints_one_document_or_the_next_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(["demo", "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {Path(document[key]).name for key in ("adapter", "grid", "report")} == {
        "adapter.safetensors",
        "grid.png",
        "report.html",
    }
    assert set(document["figures"]) >= {"hit_rate", "flexibility", "leakage", "copying", "base"}
    assert run(["demo", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "hit rate" in shown
    assert "lorasmith generate" in shown
