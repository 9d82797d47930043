"""Folders and captions as a Dataset."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lorasmith.dataset.decisions import Decision, record, undo
from lorasmith.dataset.folders import class_words, read_repeats
from lorasmith.dataset.lineage import Lineage, add_lineage
from lorasmith.dataset.reading import read_all
from lorasmith.errors import DatasetError, ProjectError
from lorasmith.events import finish
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

    monkeypatch.setattr("lorasmith.dataset.facts.look_at", watched)
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


def sha(path: Path) -> str:
    return look_at(path).sha256


def test_decisions_are_applied_and_follow_the_content(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    files = save_drawings(project.root / "images" / "5_primary", 3, caption="smile")
    record(
        project,
        [
            Decision(sha(files[0]), "reject", None, "not her"),
            Decision(sha(files[1]), "role", "supporting"),
            Decision(sha(files[1]), "repeats", 2),
            Decision(sha(files[1]), "crop", (8, 0, 40, 64)),
            Decision(sha(files[1]), "label", "from behind"),
        ],
    )
    dataset = read(project)
    assert [item.name for item in dataset.rejected] == ["5_primary/000.png"]
    first, second = dataset.items
    assert (first.role, first.repeats, first.crop, first.facets) == ("supporting", 2, (8, 0, 40, 64), ("from behind",))
    assert first.size == (32, 64)
    assert (second.role, second.repeats, second.crop, second.size) == ("primary", 5, None, (64, 64))
    files[0].rename(project.root / "images" / "back-again.png")
    assert [item.name for item in read(project).rejected] == ["back-again.png"]


def test_of_identical_copies_those_stay_that_are_named(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    images = project.root / "images"
    for name in ("a", "b", "c"):
        draw(1).save(images / f"{name}.png")
    content = sha(images / "a.png")

    def names() -> list[str]:
        return [item.name for item in read(project).items]

    record(project, [Decision(content, "reject", ("b.png",))])
    assert names() == ["b.png"]
    (images / "b.png").unlink()
    assert names() == ["a.png"], "the first of what is left"
    record(project, [Decision(content, "reject", None)])
    draw(2).save(images / "d.png")
    assert names() == ["d.png"]


def test_when_all_are_rejected_the_way_back_is_said(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (file,) = save_drawings(project.root / "images", 1)
    record(project, [Decision(sha(file), "reject")])
    with pytest.raises(DatasetError, match="Take some back: keep images"):
        read(project)
    assert [item.name for item in finish(read_all(project)).rejected] == ["000.png"]


def test_problems_of_the_decisions_are_listed(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (file,) = save_drawings(project.root / "images", 1)
    record(project, [Decision(sha(file), "crop", (0, 0, 500, 500))])
    with project.curation.open("a") as out:
        out.write('{"step": 2, "ima')
    dataset = read(project)
    assert dataset.items[0].crop is None
    assert [(problem.kind, problem.name) for problem in dataset.problems] == [
        ("curation", "curation.jsonl"),
        ("curation", "000.png"),
    ]


def test_made_pictures_have_lineage_and_what_their_sources_have(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[bundle.anna]\ntrigger = "anna"\nfolders = ["4_primary"]\n')
    (source,) = save_drawings(project.root / "images" / "4_primary", 1)
    save_drawings(project.root / "images", 1, 8)
    (copy, chained, strange) = save_drawings(project.made, 3, 20, caption="x")
    add_lineage(project, sha(copy), Lineage("flip", (sha(source),)))
    add_lineage(project, sha(chained), Lineage("crop", (sha(copy),), {"box": [0, 0, 3, 3]}, 7))
    items = {item.name: item for item in read(project).items}
    assert set(items) == {"4_primary/000.png", "008.png", "made/020.png", "made/021.png", "made/022.png"}
    for name in ("made/020.png", "made/021.png"):
        assert (items[name].repeats, items[name].role, items[name].member) == (4, "primary", "anna")
    assert items["made/021.png"].lineage == Lineage("crop", (sha(copy),), {"box": [0, 0, 3, 3]}, 7)
    assert (items["made/022.png"].lineage, items["made/022.png"].repeats) == (None, 1)
    assert items["008.png"].member is None
    record(project, [Decision(sha(strange), "made")])
    undo(project)
    assert "made/022.png" not in {item.name for item in read(project).items}


def test_made_is_apart_from_a_folder_of_that_name(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[dataset]\nimages = "."\n')
    save_drawings(tmp_path / "images" / "made", 1)
    save_drawings(project.made, 1, 1)
    assert [item.name for item in read(project).items] == ["images/made/000.png", "made/001.png"]
    own = make_project(tmp_path / "other")
    save_drawings(own.root / "images" / "made", 1)
    save_drawings(own.made, 1, 1)
    assert [item.name for item in read(own).items] == ["made/000.png", "made-2/001.png"]


def test_made_is_no_folder_of_the_users(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[dataset]\nimages = ["images", "made"]\n')
    save_drawings(project.made, 1)
    with pytest.raises(ProjectError, match="is always read"):
        read(project)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ((["anna"], ["bn"]), 'Did you mean "ben"'),
        ((["anna"], ["ben", "images/anna"]), r"anna/000.png, which is in \[bundle.a\] too"),
    ],
)
def test_members_of_a_bundle_have_folders_of_their_own(
    tmp_path: Path, folders: tuple[list[str], list[str]], message: str
) -> None:
    bundle = "".join(
        f'[bundle.{name}]\ntrigger = "{name}"\nfolders = {json.dumps(theirs)}\n'
        for name, theirs in zip("ab", folders, strict=True)
    )
    project = make_project(tmp_path, bundle)
    save_drawings(project.root / "images" / "anna", 1)
    save_drawings(project.root / "images" / "ben", 1, 1)
    with pytest.raises(ProjectError, match=message):
        read(project)


def test_a_txt_goes_before_a_caption_file(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    files = save_drawings(project.root / "images", 2)
    files[0].with_suffix(".caption").write_text("from caption", "utf-8")
    files[1].with_suffix(".caption").write_text("from caption", "utf-8")
    files[1].with_suffix(".txt").write_text("from txt", "utf-8")
    assert [item.caption for item in read(project).items] == ["from caption", "from txt"]


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
