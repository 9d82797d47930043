"""lorasmith inspect: exit status, document, and what a person reads."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lorasmith.bases.vocabulary import read_tags
from lorasmith.cli.main import run
from lorasmith.tags.knowledge import is_common
from tests.dataset.projects import make_project
from tests.images.drawings import save_drawings
from tests.refusal_words import refused_words
from tests.tags.test_library import write_adapter


def test_a_clean_project_is_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_drawings(make_project(tmp_path).root / "images", 30, caption="smile")
    assert run(["inspect", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "30 images, 30 with captions, 64x64 pixels" in said
    assert "Ready to train" in said
    assert f"lorasmith tag {tmp_path}" in said.replace("\n", " ")


def test_an_error_ends_with_status_1_and_says_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = make_project(tmp_path).root / "images"
    save_drawings(images, 3, caption="smile")
    (images / "[red]text.png").write_text("hello")
    assert run(["inspect", str(tmp_path)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "[red]text.png" in said, "a name is no markup"
    assert "2 errors, 1 note." in said
    assert "waive = { L0" in said


def test_json_has_one_document_and_the_same_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_drawings(make_project(tmp_path).root / "images", 1, caption="smile")
    assert run(["inspect", str(tmp_path), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["images"] == 1
    found = {finding["rule"]: finding for finding in document["findings"]}
    assert found["D1"]["level"] == "error"
    assert "lorasmith curate cut PROJECT 000.png" in found["D14"]["advice"]


def test_waived_errors_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_drawings(make_project(tmp_path, '[dataset]\nwaive = { D1 = "a test" }\n').root / "images", 1, caption="x")
    assert run(["inspect", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "waived" in said
    assert "a test" in said


def test_long_lists_are_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = make_project(tmp_path).root / "images"
    save_drawings(images, 20, caption="smile")
    for number in range(9):
        (images / f"text{number}.png").write_text("hello")
    assert run(["inspect", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "and 3 more" in said
    assert "text8" not in said


def test_refused_content_ends_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_drawings(make_project(tmp_path).root / "images", 1, caption=", ".join(refused_words()))
    assert run(["inspect", str(tmp_path)]) == 12
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no setting" in captured.err


def test_a_missing_project_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(tmp_path / "nothing")]) == 3
    assert "lorasmith new" in capsys.readouterr().err


def test_the_page_is_written_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_drawings(make_project(tmp_path).root / "images", 30, caption="smile")
    page = tmp_path / "look.html"
    assert run(["inspect", str(tmp_path), "--html", str(page)]) == 0
    assert f"Written: {page}" in capsys.readouterr().out
    assert "<h1>zbk</h1>" in page.read_text("utf-8")
    assert run(["inspect", str(tmp_path), "--html", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["page"] == str(page)


def test_any_folder_name_may_stand_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / os.fsdecode(b"pro\xfe\x1bject")
    save_drawings(make_project(root).root / "images", 6, caption="smile")
    page = tmp_path / "look.html"
    assert run(["inspect", str(root), "--html", str(page)]) in (0, 1)
    assert "\x1b" not in page.read_text("utf-8") + capsys.readouterr().out


def test_what_can_be_taken_out_is_said_with_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (first, *_) = save_drawings(make_project(tmp_path).root / "images", 30, caption="smile")
    first.with_name("clone.png").write_bytes(first.read_bytes())
    assert run(["inspect", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"lorasmith curate auto {tmp_path} --dry-run" in said
    assert "1 image" in said
    # The terminal breaks lines anywhere in a long path.
    assert f"lorasmithcuratealter{tmp_path}--replace-clones" in "".join(said.split())


def test_findings_on_tags_are_part_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = make_project(tmp_path).root / "images"
    save_drawings(images, 30, caption="zbk, smile")
    (images / "007.txt").write_text("zbk, day, night")
    run(["inspect", str(tmp_path), "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["images"] for finding in findings if finding["rule"] == "T9"] == [["007.png"]]


def test_a_trigger_that_the_projects_base_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trigger = min(tag for tag in read_tags() if not is_common(tag))
    project = make_project(tmp_path, trigger=trigger)
    save_drawings(project.root / "images", 1, caption="smile")
    run(["inspect", str(tmp_path), "--json"])
    found = {finding["rule"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert "knows already" in found["T2"]["message"]


def test_the_trigger_of_another_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """T2, from a folder that is named, or from ./adapters; the project's own adapter is no other."""
    project, library = tmp_path / "p", tmp_path / "adapters"
    save_drawings(make_project(project).root / "images", 30, caption="smile")
    write_adapter(library / "zbk.safetensors", modelspec__trigger_phrase="zbk")
    assert run(["inspect", str(project), "--adapters", str(library), "--json"]) == 0
    assert "T2" not in {finding["rule"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    write_adapter(library / "somebody.safetensors", modelspec__trigger_phrase="Zbk, hat")
    monkeypatch.chdir(tmp_path)
    for words in (["--adapters", str(library)], []):
        assert run(["inspect", str(project), *words, "--json"]) == 0
        (finding,) = (one for one in json.loads(capsys.readouterr().out)["findings"] if one["rule"] == "T2")
        assert finding["message"] == 'the trigger "zbk" is also that of somebody.'
    assert run(["inspect", str(project), "--adapters", str(tmp_path / "nothing")]) == 2
    assert "no such folder" in capsys.readouterr().err
