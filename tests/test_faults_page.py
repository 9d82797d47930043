"""The pages of docs/faults: every named test is there, and every row has one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "faults").glob("*.md"))
NAMED = re.compile(r"`(tests/[^`]+)`")


def rows_of(page: Path) -> list[tuple[str, str, str]]:
    """(row, what is right, tests) of the page's table."""
    lines = [line for line in page.read_text("utf-8").splitlines() if re.match(r"\| [A-E]\d", line)]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [(each[0], each[1], each[2].strip(" |") if len(each) > 2 else "") for each in cells]


@cache
def names_in(path: Path) -> frozenset[str]:
    """The functions of a test file, those of classes as ``Class::function``."""
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return frozenset(found)


def test_there_are_pages_and_the_index_leads_to_each() -> None:
    assert PAGES
    index = (ROOT / "docs" / "faults.md").read_text("utf-8")
    assert set(re.findall(r"\(faults/([^)]+)\)", index)) == {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_row_has_a_test_that_is_there(page: Path) -> None:
    rows = rows_of(page)
    assert rows
    for row, right, tests in rows:
        assert all(each.startswith(page.name[0].upper()) for each in row.split(", ")), row
        named = NAMED.findall(tests)
        assert named or right.endswith("open"), f"{row}: {right}"
        for each in named:
            file, _, function = each.partition("::")
            assert (ROOT / file).is_file(), each
            assert not function or function in names_in(ROOT / file), each


def test_the_section_of_adapter_files_is_whole() -> None:
    rows = {row for row, _, _ in rows_of(ROOT / "docs" / "faults" / "b-adapters.md")}
    assert {f"B{number}" for number in range(1, 12)} - rows <= {"B9"}  # of headers: told with the recipes' rows
