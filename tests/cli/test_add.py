"""lorasmith add: says what came in, what did not and why, and what to do next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.cli.main import run
from tests.dataset.projects import make_project
from tests.images.drawings import save_drawings


def test_more_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make_project(tmp_path / "my lora")
    save_drawings(project.root / "images", 2, caption="smile")
    save_drawings(tmp_path / "more", 4, first_seed=1, caption="hat")
    assert run(["add", str(project.root), "--images", str(tmp_path / "more"), "--into", "2_more"]) == 0
    said = capsys.readouterr().out
    assert "3 images, 3 captions came in." in said
    assert "is there already." in said
    assert f"lorasmith inspect '{project.root}'" in said
    save_drawings(tmp_path / "yet more", 1, first_seed=40)
    assert run(["add", str(project.root), "--json", str(tmp_path / "yet more")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "project": str(project.root),
        "images": 1,
        "captions": 0,
        "added": ["040.png"],
        "left_out": [],
    }
    assert run(["add", str(project.root), "--images", str(tmp_path / "yet more")]) != 0
    assert "no new image" in capsys.readouterr().err


def test_mended_captions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make_project(tmp_path / "p")
    save_drawings(project.root / "images", 2, caption="smile")
    save_drawings(tmp_path / "more", 2, caption="hat")
    assert run(["add", str(project.root), str(tmp_path / "more")]) != 0
    assert "To take the captions: --captions" in " ".join(capsys.readouterr().err.split())
    assert run(["add", str(project.root), str(tmp_path / "more"), "--captions", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["captions_replaced"] == ["000.png", "001.png"]
    assert (project.root / "images" / "000.txt").read_text() == "hat\n"
    (tmp_path / "more" / "001.txt").write_text("cap")
    assert run(["add", str(project.root), str(tmp_path / "more"), "--captions"]) == 0
    told = capsys.readouterr()
    assert "1 caption replaced (001.png)" in " ".join((told.out + told.err).split())
