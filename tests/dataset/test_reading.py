"""Folders and captions as a Dataset."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lorasmith.dataset.folders import class_words, read_repeats
from lorasmith.errors import DatasetError, ProjectError
from lorasmith.images.opening import ImageFacts, look_at
from tests.dataset.projects import make_project, read
from tests.images.drawings import draw, save_drawings


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("5_primary", (5, "primary")),
        ("12_a_b", (12, "a_b")),
        ("7", (7, "")),
        ("0_no", (0, "no")),
        ("primary", None),
    ],
)
def test_repeats_as_kohya_reads_them(folder: str, expected: tuple[int, str] | None) -> None:
    assert read_repeats(folder) == expected


def test_class_words() -> None:
    assert class_words("5_my_chair") == "my chair"
    assert class_words("my_chair") == ""


def test_plain_nested_and_counted_folders(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    images = project.root / "images"
    save_drawings(images, 1, 0, caption="smile")
    save_drawings(images / "5_primary" / "deeper", 1, 1)
    save_drawings(images / "holiday" / "3_not_counted_here", 1, 2)
    save_drawings(images / "0_rejected", 1, 3)
    dataset = read(project)
    seen = [(item.name, item.folder, item.repeats, item.caption) for item in dataset.items]
    assert seen == [
        ("000.png", "", 1, "smile"),
        ("5_primary/deeper/001.png", "5_primary", 5, None),
        ("holiday/3_not_counted_here/002.png", "holiday/3_not_counted_here", 1, None),
    ]
    assert [(problem.kind, problem.name) for problem in dataset.problems] == [("folder", "0_rejected")]


def test_several_roots_keep_names_apart_and_counts_their_own(tmp_path: Path) -> None:
    project = make_project(tmp_path, f'[dataset]\nimages = ["2_side", "{tmp_path}/other/2_side"]\n')
    save_drawings(tmp_path / "2_side", 1)
    save_drawings(tmp_path / "other" / "2_side", 1)
    items = read(project).items
    assert [(item.name, item.repeats) for item in items] == [("2_side/000.png", 2), ("2_side-2/000.png", 2)]


def test_the_projects_own_pictures_are_no_dataset(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[dataset]\nimages = "."\n')
    (mine,) = save_drawings(tmp_path / "mine", 1)
    for folder in (
        project.built_dataset / "1_zbk",
        project.runs / "1" / "samples",
        project.exams / "1" / "answers",
    ):
        save_drawings(folder, 1)
    assert [item.path for item in read(project).items] == [mine]


def test_extensions_of_any_case_captions_with_a_mark_and_hidden_files(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    images = project.root / "images"
    draw(1).save(images / "a.JpG", "JPEG")
    (images / "a.TXT").write_bytes(b"\xef\xbb\xbf1girl, smile\n")
    (images / "._a.jpg").write_bytes(b"resource fork")
    (images / "notes.md").write_text("not ours")
    dataset = read(project)
    assert [(item.name, item.caption) for item in dataset.items] == [("a.JpG", "1girl, smile")]
    assert dataset.problems == ()
    assert dataset.orphans == ()


def test_problems_are_listed_not_raised(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    images = project.root / "images"
    save_drawings(images, 2, caption="smile")
    (images / "001.txt").write_bytes("é".encode("latin-1"))
    (images / "text.png").write_text("hello")
    (images / "lonely.txt").write_text("no image")
    outside = tmp_path.parent / f"{tmp_path.name}-outside.png"
    draw(9).save(outside)
    os.symlink(outside, images / "link.png")
    os.symlink(images / "000.png", images / "inside.png")
    os.symlink(images, images / "loop")
    dataset = read(project)
    assert [item.name for item in dataset.items] == ["000.png", "001.png", "inside.png"]
    assert dataset.items[1].caption is None
    assert {(problem.kind, problem.name) for problem in dataset.problems} == {
        ("caption", "001.png"),
        ("unreadable", "text.png"),
        ("link", "link.png"),
        ("link", "loop"),
    }
    assert dataset.orphans == (images / "lonely.txt",)


def test_names_that_are_no_text_can_still_be_shown(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    draw(1).save(os.fsencode(project.root / "images") + b"/\xff.png", "PNG")
    assert [item.name for item in read(project).items] == ["\\xff.png"]


def test_a_second_reading_opens_no_unchanged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path)
    files = save_drawings(project.root / "images", 3)
    first = read(project)
    opened: list[Path] = []

    def watched(path: Path) -> ImageFacts:
        opened.append(path)
        return look_at(path)

    monkeypatch.setattr("lorasmith.dataset.reading.look_at", watched)
    assert read(project) == first
    assert opened == []
    draw(77, (32, 48)).save(files[1])
    again = read(project)
    assert opened == [files[1]]
    assert again.items[1].facts.width == 32


def test_a_damaged_or_unwritable_index_is_no_fault(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 2)
    project.cache.mkdir()
    (project.cache / "index.sqlite").write_bytes(b"this is no database, " * 100)
    assert len(read(project).items) == 2
    (project.cache / "index.sqlite").unlink()
    project.cache.rmdir()
    project.cache.write_text("a file where the folder should be")
    assert len(read(project).items) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda images: images.rmdir(), "no such folder of images"),
        (lambda _: None, "no images in it"),
        (lambda images: (images.rmdir(), images.write_text("x")), "not a folder"),
        (lambda images: (images / "a.png").write_text("x"), "none of its 1 images can be read"),
    ],
)
def test_nothing_to_read_is_an_error_with_a_way_out(tmp_path: Path, make: object, message: str) -> None:
    project = make_project(tmp_path)
    assert callable(make)
    make(project.root / "images")
    with pytest.raises(DatasetError, match=message) as caught:
        read(project)
    assert str(project.root / "images") in str(caught.value)


def test_wrong_keys_are_refused_with_a_suggestion(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[dataset]\nimage = "x"\n')
    with pytest.raises(ProjectError, match='Did you mean "images"'):
        read(project)


def test_the_users_files_stay_as_they_are(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    files = save_drawings(project.root / "images", 2, caption="smile")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (project.root / "images").iterdir()}
    read(project)
    assert len(before) == 2 * len(files)
    assert before == {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (project.root / "images").iterdir()
    }
