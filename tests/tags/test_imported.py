"""Imports are the user's work: kept beside lora.toml, never lost by rewriting."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.tags.imported import ImportedTags, imported_file, read_imported, store_imported
from tests.dataset.projects import make_project

ONE, TWO = "1" * 64, "2" * 64


def test_imports_outlive_the_cache(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    assert read_imported(project) == {}
    first = ImportedTags(ONE, "a.json", "日本, hat", None)
    second = ImportedTags(ONE, "b.csv", None, "A hat.")
    assert store_imported(project, [first, ImportedTags(TWO, "a.json", "", None)]) == 0
    assert store_imported(project, [second]) == 0
    assert read_imported(project)[ONE] == (second, first), "the latest first"
    assert not imported_file(project).is_relative_to(project.cache)
    again = ImportedTags(ONE, "a.json", "cap", None)
    store_imported(project, [again])
    assert read_imported(project)[ONE] == (again, second), "the same source is replaced, and the latest now"
    assert read_imported(project)[TWO][0].tags == ""


@pytest.mark.parametrize(
    "damaged",
    [
        b"\xff\xfe no text",
        b'{"image": 5, "source": "x"}',
        b'{"image": "1", "source": "x", "tags": [1]}',
        b'["image"]',
        b'"text"',
        b"{",
        b"[" * 100_000,
        b'{"source": "x"}',
    ],
)
def test_damaged_lines_stay_in_the_file_and_are_counted(tmp_path: Path, damaged: bytes) -> None:
    project = make_project(tmp_path)
    imported_file(project).write_bytes(damaged + b"\n")
    assert read_imported(project) == {}
    assert store_imported(project, [ImportedTags(ONE, "a.json", "hat", None)]) == 1
    assert read_imported(project)[ONE][0].tags == "hat"
    assert damaged + b"\n" in imported_file(project).read_bytes()


@pytest.mark.parametrize("name", ["My List.json", "my list"])
def test_names_of_an_import(name: str) -> None:
    imported = ImportedTags(ONE, "My list.json", "", None)
    assert imported.is_called(name)
    assert not imported.is_called("list")
