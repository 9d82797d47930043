"""More images for a project: beside what is there, never over it, and none twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lorasmith.dataset.adding import add_images
from lorasmith.dataset.decisions import Decision, record
from lorasmith.dataset.provenance import read_provenance
from lorasmith.errors import DatasetError, UsageError
from lorasmith.events import finish
from lorasmith.project import Project
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
        ("5_main/001-2.png", "is there already. Its caption is left out, too.")
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
