"""The lineage of made pictures on disk."""

from __future__ import annotations

from pathlib import Path

from lorasmith.dataset.lineage import FILE_NAME, Lineage, add_lineage, read_lineage
from tests.dataset.projects import make_project


def test_what_was_added_is_read_and_the_last_counts(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    assert read_lineage(project) == {}
    first = Lineage("crop", ("s1",), {"box": [0, 1, 2, 3]}, 4)
    second = Lineage("collage", ("s1", "s2"), {"layout": "side"})
    add_lineage(project, "a", second)
    add_lineage(project, "a", first)
    add_lineage(project, "b", second)
    assert read_lineage(project) == {"a": first, "b": second}
    assert len({first, second}) == 2, "it can be a key"


def test_lines_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    lineage = Lineage("flip", ("s",))
    add_lineage(project, "a", lineage)
    with (project.made / FILE_NAME).open("ab") as out:
        out.write(b'\xff\n{"image": "b"}\n[1]\n{"image": "c", "operation": "fl')
    add_lineage(project, "d", lineage)
    assert read_lineage(project) == {"a": lineage, "d": lineage}
