"""A studio in a thread and a browser before it. Without Chromium these tests are skipped with a word; in CI they
fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lorasmith.server.workshop import Workshop
from tests.server.running import Plain, plain_settings, running

SHOTS = Path(__file__).parents[2] / "benchmarks" / "out" / "page"
"""Ignored by git; what went wrong can be looked at there."""


def find_chromium() -> str | None:
    """The browser to drive: LORASMITH_CHROMIUM, else Debian's."""
    return os.environ.get("LORASMITH_CHROMIUM") or shutil.which("chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for the tests of one file: while it is open its event loop runs, and other tests need their own."""
    chromium = find_chromium()
    if chromium is None:
        if os.environ.get("CI") or os.environ.get("LORASMITH_NEEDS_BROWSER"):
            pytest.fail("there is no Chromium: install Debian's, or set LORASMITH_CHROMIUM")
        pytest.skip("there is no Chromium; set LORASMITH_CHROMIUM to walk the page in it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORASMITH_HOME", str(tmp_path / "home"))
    return tmp_path / "projects"


def _is_fault(line: Any) -> bool:
    """Whether a line of the browser's console tells a fault; a refused request is told there, too, but is none."""
    return line.type == "error" and "status of 4" not in line.text


@pytest.fixture
def page(browser: Any, projects: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page at the studio; at the end nothing may have gone wrong in it."""
    with running(plain_settings(tmp_path), Plain(), Workshop(projects)) as (_, server):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(60_000)
        shown = context.new_page()
        wrong: list[str] = []
        shown.on("pageerror", lambda error: wrong.append(str(error)))
        shown.on("console", lambda line: wrong.append(line.text) if _is_fault(line) else None)
        shown.goto(server.address)
        yield shown
        SHOTS.mkdir(parents=True, exist_ok=True)
        shown.screenshot(path=SHOTS / f"{request.node.name}.png")
        context.close()
        assert not wrong
