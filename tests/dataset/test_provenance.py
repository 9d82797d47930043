"""Where every picture is from, in a file of the project."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lorasmith.dataset.create import Created, create_project
from lorasmith.dataset.folders import Problem
from lorasmith.dataset.ingest import fit
from lorasmith.dataset.provenance import FILE_NAME, Provenance, read_provenance, record_provenance
from lorasmith.events import finish
from lorasmith.project import SubjectKind
from tests.dataset.projects import make_project
from tests.images.drawings import save_drawings


def found(folder: Path, *sources: Path) -> Created:
    work = create_project(
        folder, subject=SubjectKind.ASSET, name=None, trigger=None, sources=sources, today="2026-05-04"
    )
    return finish(work)


def test_every_image_that_comes_in_gets_its_line(tmp_path: Path) -> None:
    files = save_drawings(tmp_path / "pictures", 2, caption="x")
    about = {"category": "site", "id": 1, "license": "CC0", "user": "anna", "source": "https://example.org/1"}
    files[1].with_name("001.png.json").write_text(json.dumps(about))
    project = found(tmp_path / "p", tmp_path / "pictures").project
    known = read_provenance(project)
    sums = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert set(known) == set(sums)
    assert known[sums[0]] == Provenance(sums[0], "000.png", "pictures/000.png", retrieved="2026-05-04")
    fetched = known[sums[1]]
    assert (fetched.source, fetched.author, fetched.licence) == ("https://example.org/1", "anna", "CC0")
    assert str(tmp_path) not in (project.root / FILE_NAME).read_text("utf-8"), "no path of the user's machine"


def test_images_that_are_used_where_they_lie_get_theirs(tmp_path: Path) -> None:
    files = save_drawings(tmp_path / "p" / "images", 1)
    created = found(tmp_path / "p", tmp_path / "p" / "images")
    (known,) = read_provenance(created.project).values()
    assert known.sha256 == hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert known.retrieved == "2026-05-04"


def test_the_projects_table_stands_for_what_a_line_does_not_say(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[provenance]\nlicence = "CC BY 4.0"\nauthor = "anna"\n')
    record_provenance(project.root, [Provenance("a", author="ben"), Provenance("b")])
    known = read_provenance(project)
    assert (known["a"].author, known["a"].licence) == ("ben", "CC BY 4.0")
    assert known["b"].author == "anna"


def test_a_known_picture_keeps_its_first_line(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    record_provenance(project.root, [Provenance("a", source="first")])
    record_provenance(project.root, [Provenance("a", source="second"), Provenance("b", source="\ud800")])
    assert read_provenance(project)["a"].source == "first"
    assert set(read_provenance(project)) == {"a", "b"}


@pytest.mark.parametrize("line", ["{", "[1]", '{"sha256": 5}', "[" * 100_000, '{"source": "x"}', "\xff"])
def test_damaged_lines_are_left_out(tmp_path: Path, line: str) -> None:
    project = make_project(tmp_path)
    record_provenance(project.root, [Provenance("a")])
    with (project.root / FILE_NAME).open("ab") as file:
        file.write(line.encode("latin-1") + b'\n{"sha256": "b", "author": 5, "more": 1}\n')
    assert set(read_provenance(project)) == {"a", "b"}


def test_places_fit_any_disk() -> None:
    from pathlib import PurePosixPath

    for wanted in (
        "../../etc/a.png",
        ".hidden/.a.png",
        "x" * 300 + ".png",
        "/".join("y" * 90 for _ in range(40)) + ".png",
    ):
        place = fit(PurePosixPath(wanted))
        assert ".." not in place.parts
        assert not any(part.startswith(".") for part in place.parts)
        assert all(len(part.encode()) < 250 for part in place.parts)
        assert len(str(place)) < 1100
        assert place.suffix == ".png"
    assert fit(PurePosixPath("a\0b/\ud800.png")) == PurePosixPath("a_b/?.png")
    assert fit(PurePosixPath("5_a/b.c.png")) == PurePosixPath("5_a/b.c.png")


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    save_drawings(tmp_path / "src", 1)
    (tmp_path / "src" / "notes.md").write_text("x")
    (problem,) = found(tmp_path / "p", tmp_path / "src").ingested.left_out
    assert problem == Problem("other", "notes.md", tmp_path / "src" / "notes.md", "neither a picture nor a caption.")
