"""An exam that is killed goes on where it was, and gives the same figures."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lorasmith.errors import ExamError
from lorasmith.events import Note, finish
from lorasmith.exam.examination import examine
from lorasmith.exam.folder import KEPT, ORDER
from lorasmith.exam.settings import read_settings
from lorasmith.exam.verdict import Verdict
from lorasmith.project import open_project
from lorasmith.storage.locks import hold
from tests.exam.toy import WORLD, ToyArtist, ToyJudge, make_project

SKILL = {"a": 0.5, "b": 0.9}
#: Ends itself by SIGKILL after so many batches.
SCRIPT = """
import os, signal, sys
from lorasmith.events import finish
from lorasmith.exam.examination import examine
from lorasmith.exam.settings import read_settings
from lorasmith.project import open_project
from tests.exam.toy import WORLD, ToyArtist, ToyJudge

project, left = open_project(sys.argv[1]), int(sys.argv[2])

class Mortal(ToyArtist):
    batches = 0
    def draw(self, rows):
        Mortal.batches += 1
        if Mortal.batches > left:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(rows)

files = [project.root / "a.safetensors", project.root / "b.safetensors"]
artist = Mortal({"a": 0.5, "b": 0.9}, leak=0.2)
finish(examine(project, files, artist, read_settings(project), ToyJudge(), WORLD))
"""


def _project(root: Path) -> Path:
    return make_project(root, "pictures = 40\nseed = 3")


def _examine(root: Path, notes: list[str] | None = None) -> Verdict:
    told = [] if notes is None else notes
    project = open_project(root)
    files = [root / f"{name}.safetensors" for name in SKILL]
    work = examine(project, files, ToyArtist(SKILL, leak=0.2), read_settings(project), ToyJudge(), WORLD)
    return finish(work, lambda event: told.append(event.message) if isinstance(event, Note) else None)


def test_killed_five_times_it_gives_the_same_figures(tmp_path: Path) -> None:
    whole = _examine(_project(tmp_path / "whole"))
    root = _project(tmp_path / "killed")
    for _ in range(5):
        ended = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(root), "3"],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    (folder,) = (root / "exams").iterdir()
    # Every kill lost the batch under way and nothing else.
    assert len(list((folder / KEPT).glob("*.npz"))) == 5 * 3
    notes: list[str] = []
    again = _examine(root, notes)
    assert again.folder == folder
    assert again.figures == whole.figures
    assert again.base == whole.base
    assert again.chosen.name == whole.chosen.name
    for key in ("strength", "selection", "identity", "copy_distance"):
        ours, theirs = json.dumps(again.facts[key]), json.dumps(whole.facts[key])
        assert ours.replace(str(root), "") == theirs.replace(str(tmp_path / "whole"), "")
    # What was kept is gone when the exam is over, and the next one is new.
    assert not (folder / KEPT).exists()
    assert _examine(root).folder != folder


def test_another_order_is_another_exam(tmp_path: Path) -> None:
    root = _project(tmp_path / "p")
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root), "3"], capture_output=True, check=False, cwd=Path(__file__).parents[2]
    )
    (folder,) = (root / "exams").iterdir()
    file = root / "lora.toml"
    file.write_text(file.read_text().replace("seed = 3", "seed = 4"))
    assert _examine(root).folder != folder
    assert (folder / KEPT / ORDER).is_file()


def test_a_spoiled_batch_is_drawn_again(tmp_path: Path) -> None:
    root = _project(tmp_path / "p")
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root), "6"], capture_output=True, check=False, cwd=Path(__file__).parents[2]
    )
    kept = sorted((root / "exams").glob(f"*/{KEPT}/*.npz"))
    assert len(kept) == 6
    kept[0].write_bytes(b"")
    kept[1].write_bytes(kept[1].read_bytes()[:100])
    assert _examine(root).figures == _examine(_project(tmp_path / "whole")).figures


def test_two_processes_do_not_hold_one_exam(tmp_path: Path) -> None:
    root = _project(tmp_path / "p")
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root), "3"], capture_output=True, check=False, cwd=Path(__file__).parents[2]
    )
    (folder,) = (root / "exams").iterdir()
    with hold(folder / KEPT / "lock"), pytest.raises(ExamError, match="holds this exam already"):
        _examine(root)


def test_pictures_and_time_are_told_before(tmp_path: Path) -> None:
    root = _project(tmp_path / "p")
    notes: list[str] = []
    _examine(root, notes)
    assert any("The exam draws about" in note and "hits 40" in note for note in notes)
    assert any("s a picture: about" in note for note in notes)
    notes.clear()
    _examine(root, notes)
    assert any("at the pace of the last exam" in note for note in notes)
