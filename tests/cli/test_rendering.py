"""Events reach the right stream in the right form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.cli.rendering import print_json, show
from lorasmith.events import Done, Event, Note, Progress, SnapshotSaved, StepDone, Work

EVENTS: tuple[Event, ...] = (
    Progress("reading", 1, 2, eta=75.0),
    StepDone(step=3, steps=10, epoch=1, loss=0.25, rates={"unet": 1e-4}, eta=3.0),
    SnapshotSaved(path=Path("runs/[x]/a.safetensors"), step=3, epoch=1),
    Note("images are few", level="warning", rule="D1"),
    Done(adapter=Path("a.safetensors"), run=Path("runs/x"), steps=10, seconds=61.0, loss=0.2),
)


def _work() -> Work[str]:
    yield from EVENTS
    return "result"


def test_a_person_sees_progress_on_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(_work()) == "result"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "warning: images are few [D1]" in shown.err
    assert "runs/[x]/a.safetensors" in shown.err
    assert "1 min 01 s" in shown.err


def test_without_a_terminal_a_stage_is_one_line_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> Work[None]:
        for done in range(1, 41):
            yield Progress("drawing", done, 40)

    show(work())
    assert capsys.readouterr().err == "drawing 40/40\n"


def test_json_leaves_stdout_to_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(_work(), json=True) == "result"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "warning: images are few [D1]\n"


def test_json_events_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(_work(), json_events=True) == "result"
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in lines] == [event.name for event in EVENTS]


def test_print_json_knows_paths_and_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"path": Path("a/é"), "pair": (1, 2), "event": EVENTS[0]})
    assert json.loads(capsys.readouterr().out) == {
        "path": "a/é",
        "pair": [1, 2],
        "event": {"event": "progress", "stage": "reading", "done": 1, "total": 2, "eta": 75.0},
    }
    with pytest.raises(TypeError, match="object has no JSON form"):
        print_json({"x": object()})
