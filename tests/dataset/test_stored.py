"""A dataset behind a URL is the dataset of a folder with the same files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lorasmith.dataset.create import create_project
from lorasmith.dataset.inspection import inspect
from lorasmith.errors import NoImagesError, StorageError, UsageError
from lorasmith.events import finish
from lorasmith.project import Project, SubjectKind
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings

fsspec = pytest.importorskip("fsspec", reason="the [cluster] extra is not installed")


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Path]:
    """Four captioned drawings in a folder, and the same in memory."""
    for group in ("5_a", "2_b"):
        save_drawings(tmp_path / "mine" / group, 2, first_seed=ord(group[0]), caption="smile")
    files = fsspec.filesystem("memory")
    files.put(str(tmp_path / "mine"), "/bucket/mine", recursive=True)
    files.pipe("/bucket/mine/.hidden.png", b"no picture")
    yield tmp_path / "mine"
    files.rm("/", recursive=True)


def look(project: Project) -> str:
    return json.dumps(finish(inspect(project, read(project), {})).as_json())


def of(root: Path, images: str) -> Project:
    return make_project(root, f'\n[dataset]\nimages = "{images}"\n')


def test_it_is_inspected_as_a_folder_is(stored: Path, tmp_path: Path) -> None:
    here, there = of(tmp_path / "here", str(stored)), of(tmp_path / "there", "memory://bucket/mine")
    assert look(here) == look(there) == look(of(tmp_path / "file", f"file://{stored}"))
    assert [(item.name, item.repeats, item.caption) for item in read(there).items] == [
        (item.name, item.repeats, item.caption) for item in read(here).items
    ]
    fsspec.filesystem("memory").rm(f"/bucket/mine/{read(there).items[0].name}")
    assert len(read(there).items) == 3


def test_a_project_is_made_of_it(stored: Path, tmp_path: Path) -> None:
    work = create_project(
        tmp_path / "new",
        subject=SubjectKind.CHARACTER,
        name=None,
        trigger="zbk",
        sources=[Path("memory://bucket/mine")],
    )
    made = finish(work)
    assert (made.ingested.images, made.ingested.captions) == (4, 4)
    assert sorted(path.name for path in (tmp_path / "new" / "images").rglob("*.png")) == sorted(
        path.name for path in stored.rglob("*.png")
    )
    provenance = (tmp_path / "new" / "sources.jsonl").read_text("utf-8")
    assert "memory://bucket/mine/5_a/053.png" in provenance


def test_what_is_missing_is_one_sentence(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"^memory://bucket/yours: nothing is there\."):
        read(of(tmp_path / "a", "memory://bucket/yours"))
    fsspec.filesystem("memory").pipe("/bucket/empty/note.md", b"nothing")
    with pytest.raises(NoImagesError, match=r"^memory://bucket/empty: no images in it\."):
        read(of(tmp_path / "b", "memory://bucket/empty"))
    assert stored.is_dir()


def test_nothing_is_added_to_a_mirror(stored: Path, tmp_path: Path) -> None:
    from lorasmith.dataset.adding import add_images

    project = of(tmp_path / "p", "memory://bucket/mine")
    read(project)
    with pytest.raises(UsageError, match="its images lie outside of the project"):
        finish(add_images(project, [stored]))
