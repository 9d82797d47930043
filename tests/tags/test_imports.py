"""Tags of any tool reach the images that they mean, and the report says what did not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.errors import DatasetError, RefusedError
from lorasmith.events import Note, finish
from lorasmith.project import Project
from lorasmith.tags.imported import imported_file, read_imported
from lorasmith.tags.imports import Imported, import_tags
from lorasmith.tags.raw import read_raw_tags
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings
from tests.refusal_words import refused_words


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two folders with an image of one name each, and one that has a caption."""
    made = make_project(tmp_path / "project")
    save_drawings(made.root / "images" / "5_a", 2)
    (made.root / "images" / "2_b").mkdir()
    save_drawings(made.root / "images" / "2_b", 1, 7)
    (made.root / "images" / "2_b" / "007.png").rename(made.root / "images" / "2_b" / "000.png")
    save_drawings(made.root / "images", 1, 3, caption="own")
    return made


def run(project: Project, source: Path) -> Imported:
    return finish(import_tags(project, read(project), source))


def save(file: Path, document: object) -> Path:
    file.write_text(json.dumps(document), "utf-8")
    return file


def test_the_report(project: Project, tmp_path: Path) -> None:
    lines = {
        "5_a/000.png": {"tags": "hat"},
        "001": {"tags": "cap", "caption": "a man wears a cap"},
        "000": {"tags": "which one?"},
        "003.png": {"tags": "imported"},
        "elsewhere/9.png": {"tags": "nobody"},
        "5": 5,
    }
    imported = run(project, save(tmp_path / "meta.json", lines))
    assert imported.matched == ("003.png", "5_a/000.png", "5_a/001.png")
    assert imported.captioned == ("003.png",)
    assert imported.unmatched == ("elsewhere/9.png",)
    assert imported.ambiguous == {"000": ("2_b/000.png", "5_a/000.png")}
    assert [part.where for part in imported.unreadable] == ["meta.json: 5"]
    assert imported.left == ("2_b/000.png",)
    assert json.loads(json.dumps(imported.as_json()))["source"] == "meta.json"
    raw = read_raw_tags(project, read(project))
    assert raw["5_a/000.png"].tags == ("hat",)
    assert raw["003.png"].tags == ("own",)
    assert (raw["5_a/001.png"].tags, raw["5_a/001.png"].sentence) == (("cap",), "a man wears a cap")


def test_the_better_fit_wins_and_contradictions_are_left_out(project: Project, tmp_path: Path) -> None:
    save(tmp_path / "a.json", {"5_a/001.png": "near", "x/001.png": "far", "5_a/000.png": "one", "5_a/000.jpg": "other"})
    imported = run(project, tmp_path / "a.json")
    assert imported.matched == ("5_a/001.png",)
    assert imported.contradicted == {"5_a/000.png": ("a.json: 5_a/000.png", "a.json: 5_a/000.jpg")}
    assert read_raw_tags(project, read(project))["5_a/001.png"].tags == ("near",)


def test_copies_of_one_picture_are_not_ambiguous(project: Project, tmp_path: Path) -> None:
    folder = project.root / "images"
    (folder / "2_b" / "001.png").write_bytes((folder / "5_a" / "001.png").read_bytes())
    imported = run(project, save(tmp_path / "a.json", {"001": "hat"}))
    assert imported.matched == ("2_b/001.png", "5_a/001.png")


def test_a_folder_of_captions_from_another_place(project: Project, tmp_path: Path) -> None:
    captions = tmp_path / "captions" / "5_a"
    captions.mkdir(parents=True)
    (captions / "000.txt").write_text("hat, red", "utf-8")
    (captions / "000.caption").write_text("not this", "utf-8")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    imported = run(project, tmp_path / "captions")
    assert (imported.source, imported.matched) == ("captions", ("5_a/000.png",))
    assert read_raw_tags(project, read(project))["5_a/000.png"].tags == ("hat", "red")
    assert all(file.read_bytes() == content for file, content in before.items())


def test_imports_are_kept_by_source_and_outlive_the_cache(project: Project, tmp_path: Path) -> None:
    run(project, save(tmp_path / "a.json", {"001": "first"}))
    run(project, save(tmp_path / "b.json", {"001": "second"}))
    run(project, save(tmp_path / "b.json", {"001": "third"}))
    (found,) = read_imported(project).values()
    assert [(tags.source, tags.tags) for tags in found] == [("b.json", "third"), ("a.json", "first")]
    for file in project.cache.iterdir():
        file.unlink()
    assert len(read_imported(project)) == 1


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"nobody.png": "hat"}, "none of its 1 entries means an image of the dataset, for example 'nobody.png'"),
        ({"000": "hat"}, "not clear for any image"),
        ({"001": 5}, "no tags in it: a.json: 001: int instead of tags"),
        ({}, "no tags in it"),
    ],
)
def test_an_import_without_any_match_is_an_error(
    project: Project, tmp_path: Path, document: object, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        run(project, save(tmp_path / "a.json", document))
    assert not imported_file(project).exists()


def test_damaged_lines_of_earlier_imports_are_told(project: Project, tmp_path: Path) -> None:
    imported_file(project).write_text("{damaged\n")
    seen: list[object] = []
    finish(import_tags(project, read(project), save(tmp_path / "a.json", {"001": "hat"})), seen.append)
    (note,) = [event for event in seen if isinstance(event, Note)]
    assert note.message == "imported.jsonl: 1 lines cannot be read; they were left as they are."


def test_refused_words_are_not_stored(project: Project, tmp_path: Path) -> None:

    minor, sexual = refused_words()
    with pytest.raises(RefusedError, match=r"a\.json: 001"):
        run(project, save(tmp_path / "a.json", {"001": f"{minor}, {sexual}"}))
    assert not imported_file(project).exists()
