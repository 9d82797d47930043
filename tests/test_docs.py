"""Docs cannot drift: generated pages are fresh, every dependency has a reason, every link leads somewhere."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["commands.md", "recipe.md", "exam.md", "rules.md", "performance.md"])
def test_generated_pages_are_fresh(name: str) -> None:
    page: str = generator().PAGES[name]()
    assert (ROOT / "docs" / name).read_text("utf-8") == page, "run: python docs/generate.py"


def test_every_command_shows_an_example() -> None:
    page: str = generator().commands_page()
    blocks = page.split("\n## ")[2:]
    assert len(blocks) > 8
    for block in blocks:
        if "COMMAND [ARGS]" not in block:
            assert "Example: " in block, block.splitlines()[0]


def test_every_dependency_has_its_row() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    rows = " ".join(line for line in page.splitlines() if line.startswith("|"))
    names = [re.split(r"[<>=\[; ]", text)[0] for text in wanted]
    assert len(names) > 10
    for name in names:
        assert re.search(rf"\b{re.escape(name)}\b", rows), f"{name}: say in docs/dependencies.md what it is for"


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_drawing_of_the_house_shows_every_room() -> None:
    from docs.house import DRAWING, layers, rooms

    drawn = DRAWING.read_text("utf-8")
    assert len(layers()) > 20
    missing = [room for layer in layers() for room in (layer, *rooms(layer)) if f">{room}</text>" not in drawn]
    assert missing == [], "run: python -m docs.house"
