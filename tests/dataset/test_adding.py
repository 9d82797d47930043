"""More images for a project: beside what is there, never over it, and none twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lorasmith.dataset.adding import add_images
from lorasmith.dataset.decisions import Decision, record
from lorasmith.dataset.provenance import read_provenance
from lorasmith.errors import DatasetError, UsageError
from lorasmith.events import Event, Note, finish
from lorasmith.project import Project, open_project
from tests.dataset.projects import make_project, read
from tests.images.drawings import draw, save_drawings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path / "project")
    save_drawings(made.root / "images" / "5_main", 2, caption="smile")
    return made


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_images_come_beside_what_is_there(project: Project, tmp_path: Path) -> None:
    images, source = project.root / "images", tmp_path / "more"
    before = tree(images)
    save_drawings(source / "5_main", 3, first_seed=1, caption="hat")  # 001 is there already, byte for byte
    draw(9, (64, 64)).save(source / "5_main" / "000.png")  # another picture of a name that is taken
    (source / "5_main" / "000.txt").write_text("nine")
    given = tree(source)
    ingested = finish(add_images(project, [source], today="2026-01-02"))
    assert (ingested.images, ingested.captions) == (3, 3)
    assert [(problem.name, problem.message) for problem in ingested.left_out] == [
        ("5_main/001.png", "is there already. Its caption is left out, too.")
    ]
    after = tree(images)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {
        *("5_main/000-2.png", "5_main/000-2.txt", "5_main/002.png", "5_main/002.txt"),
        *("5_main/003.png", "5_main/003.txt"),
    }
    assert tree(source) == given
    captions = {item.name: item.caption for item in read(project).items}
    assert captions["5_main/000-2.png"] == "nine"
    known = {one.name: one for one in read_provenance(project).values()}
    assert known["5_main/003.png"].retrieved == "2026-01-02"
    assert not list(project.root.glob(".*.partial"))


def test_a_caption_comes_with_the_new_picture_of_its_stem(project: Project, tmp_path: Path) -> None:
    """One caption file serves every picture of its stem, as in kohya's trainer (train_util.py, read_caption)."""
    source = tmp_path / "more"
    source.mkdir()
    shutil.copy(project.root / "images" / "5_main" / "000.png", source / "shot.png")
    draw(7, (64, 64)).save(source / "shot.jpg")
    (source / "shot.txt").write_text("caption of the new shot")
    ingested = finish(add_images(project, [source], today="2026-01-02"))
    assert (ingested.images, ingested.captions) == (1, 1)
    assert [problem.message for problem in ingested.left_out] == ["is there already."]
    (new,) = (project.root / "images").rglob("shot.jpg")
    assert new.with_suffix(".txt").read_text() == "caption of the new shot"


def test_into_a_folder_of_them(project: Project, tmp_path: Path) -> None:
    save_drawings(tmp_path / "more", 1, first_seed=7)
    finish(add_images(project, [tmp_path / "more"], into="2_supporting"))
    item = next(item for item in read(project).items if item.name == "2_supporting/007.png")
    assert item.repeats == 2


def test_nothing_new_changes_nothing(project: Project, tmp_path: Path) -> None:
    """Rejected images are known, too: they do not come back as new ones."""
    first = read(project).items[0]
    record(project, [Decision(first.facts.sha256, "reject")])
    shutil.copytree(project.root / "images", tmp_path / "same")
    before = tree(project.root / "images")
    with pytest.raises(DatasetError, match="no new image"):
        finish(add_images(project, [tmp_path / "same"]))
    assert tree(project.root / "images") == before
    assert not (project.root / "sources.jsonl").exists()


def test_into_an_empty_project(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    save_drawings(tmp_path / "more", 2)
    assert finish(add_images(project, [tmp_path / "more"])).images == 2


@pytest.mark.parametrize("into", ["../elsewhere", "/tmp"])
def test_only_inside_the_images(project: Project, tmp_path: Path, into: str) -> None:
    save_drawings(tmp_path / "more", 1, first_seed=7)
    with pytest.raises(UsageError, match="is not inside"):
        finish(add_images(project, [tmp_path / "more"], into=into))


def test_what_makes_no_sense_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no images were named"):
        finish(add_images(project, []))
    with pytest.raises(UsageError, match="of the project itself"):
        finish(add_images(project, [project.root / "images"]))
    outside = make_project(tmp_path / "outside", f'[dataset]\nimages = ["{project.root / "images"}"]\n')
    save_drawings(tmp_path / "more", 1, first_seed=7)
    with pytest.raises(UsageError, match="lie outside"):
        finish(add_images(outside, [tmp_path / "more"]))


def warnings_of(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Note) and event.level == "warning"]


@pytest.fixture
def mended(project: Project, tmp_path: Path) -> Path:
    """The project's pictures under other names: one caption mended, one as it was; and a new picture."""
    images, source = project.root / "images" / "5_main", tmp_path / "more"
    source.mkdir()
    shutil.copy(images / "000.png", source / "000.png")
    (source / "000.txt").write_text("smile, red hat")
    shutil.copy(images / "001.png", source / "other.png")
    shutil.copy(images / "001.txt", source / "other.txt")
    draw(7, (64, 64)).save(source / "new.png")
    return source


def test_a_mended_caption_is_told_with_the_way_to_take_it(project: Project, mended: Path) -> None:
    seen: list[Event] = []
    before = tree(project.root / "images")
    ingested = finish(add_images(project, [mended]), seen.append)
    assert [(problem.name, problem.message) for problem in ingested.left_out] == [
        ("000.png", "is there already. Its caption is left out, too."),
        ("other.png", "is there already. Its caption is left out, too."),
    ]
    (warning,) = warnings_of(seen)
    assert warning.startswith("1 caption came with pictures that are there with other words (5_main/000.png).")
    assert warning.endswith("To take them: captions")
    assert before.items() <= tree(project.root / "images").items()


def test_a_mended_caption_is_taken_when_told_so(project: Project, mended: Path) -> None:
    seen: list[Event] = []
    images = project.root / "images"
    before = tree(images)
    given = tree(mended)
    ingested = finish(add_images(project, [mended], captions=True), seen.append)
    assert [(problem.name, problem.message) for problem in ingested.left_out] == [
        ("000.png", "is there already. Its caption is taken."),
        ("other.png", "is there already. Its caption is left out, too."),
    ]
    assert [one.item.name for one in ingested.mended] == ["5_main/000.png"]
    after = tree(images)
    assert {name for name in before if before[name] != after[name]} == {"5_main/000.txt"}
    assert {item.name: item.caption for item in read(project).items}["5_main/000.png"] == "smile, red hat"
    assert tree(mended) == given
    kept = project.root / "build" / "replaced captions" / "5_main"
    assert tree(kept) == {"000.txt": before["5_main/000.txt"]}
    assert warnings_of(seen) == []
    (mended / "000.txt").write_text("smile, blue hat")
    finish(add_images(project, [mended], captions=True))  # nothing but the caption is new
    assert {path.read_text() for path in kept.iterdir()} == {"smile", "smile, red hat\n"}
    assert (images / "5_main" / "000.txt").read_text() == "smile, blue hat\n"


def test_where_only_captions_differ_the_error_says_how_they_are_taken(project: Project, mended: Path) -> None:
    (mended / "new.png").unlink()
    with pytest.raises(DatasetError, match="no new image") as caught:
        finish(add_images(project, [mended]))
    assert str(caught.value.remedy) == "To take the captions: captions"
    (mended / "000.txt").write_text("smile")
    with pytest.raises(DatasetError, match="no new image") as caught:
        finish(add_images(project, [mended], captions=True))
    assert "captions" not in str(caught.value.remedy)


def test_captions_outside_of_the_project_stay(project: Project, mended: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(project.root / "images" / "5_main", elsewhere)
    (project.root / "images").mkdir(exist_ok=True)
    project.file.write_text(f'{project.file.read_text()}\n[dataset]\nimages = ["{elsewhere}", "images"]\n')
    before = tree(elsewhere)
    ingested = finish(add_images(open_project(project.root), [mended], captions=True))
    assert (ingested.images, ingested.mended) == (1, ())
    assert tree(elsewhere) == before


def test_a_picture_without_a_caption_gets_the_one_that_comes(project: Project, mended: Path) -> None:
    (project.root / "images" / "5_main" / "000.txt").rename(project.root / "images" / "5_main" / "000.caption")
    (project.root / "images" / "5_main" / "001.txt").unlink()
    finish(add_images(project, [mended], captions=True))
    captions = {item.name: item.caption for item in read(project).items}
    assert captions["5_main/000.png"] == "smile, red hat"
    assert captions["5_main/001.png"] == "smile"
    assert not (project.root / "images" / "5_main" / "000.txt").exists()


def test_files_of_several_sources_are_named_by_their_own(project: Project, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for source in (first, second):
        (source / "deep").mkdir(parents=True)
        shutil.copy(project.root / "images" / "5_main" / "000.png", source / "deep" / "shot.png")
    draw(8, (64, 64)).save(first / "new.png")
    ingested = finish(add_images(project, [first, second]))
    assert [problem.name for problem in ingested.left_out] == ["first/deep/shot.png", "second/deep/shot.png"]
