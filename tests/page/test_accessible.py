"""What axe finds on every screen, in both themes: nothing serious. axe-core is an npm package of the developers
(scripts/check fetches it); without it these tests are skipped with a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lorasmith.examples import copy_example
from tests.page.axe import faults_on, find_axe

SCREENS = ("projects", "images", "captions", "recipe", "run", "exam", "draw", "library", "help")
_STILL = "() => !document.querySelector('.toast') && document.querySelector('main').textContent.trim().length > 0"


pytestmark = pytest.mark.skipif(
    find_axe() is None, reason="axe-core is not there: scripts/check fetches it by npm, or set LORASMITH_NODE_MODULES"
)


def test_axe_sees_what_is_wrong(page: Any) -> None:
    page.locator(".projects-head").wait_for()
    page.evaluate(
        "() => document.querySelector('.projects-head').insertAdjacentHTML('beforeend', '<input><img src=x>')"
    )
    assert {"label", "image-alt"} <= {each["id"] for each in faults_on(page)}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_on_any_screen(page: Any, projects: Path, theme: str) -> None:
    copy_example("concept", projects / "concept")
    page.evaluate("(theme) => localStorage.setItem('lorasmith-theme', theme)", theme)
    address, found = page.url.split("#")[0], dict[str, Any]()
    for screen in SCREENS:
        page.goto("about:blank")
        page.goto(f"{address}#/concept/{screen}")
        page.wait_for_function(_STILL)
        page.wait_for_timeout(700)
        if faults := faults_on(page):
            found[screen] = faults
    assert not found, json.dumps(found, indent=1)


def test_nothing_serious_in_what_opens(page: Any, projects: Path) -> None:
    copy_example("concept", projects / "concept")
    address, found = page.url.split("#")[0], dict[str, Any]()
    page.goto(f"{address}#/concept/images")
    page.locator(".thumb").first.wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator(".look").wait_for()
    found["one image"] = faults_on(page)
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    page.get_by_role("tab", name="Dataset of one").click()
    found["making"] = faults_on(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+?")
    page.get_by_role("dialog", name="Keys").wait_for()
    found["keys"] = faults_on(page)
    page.keyboard.press("Escape")
    page.goto(f"{address}#/concept/captions")
    for tab in ("Rules", "Taggers"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(700)
        found[tab] = faults_on(page)
    page.goto(f"{address}#/-/projects")
    page.get_by_role("button", name="From a path").click()
    page.get_by_role("dialog", name="New project").wait_for()
    found["new project"] = faults_on(page)
    assert not any(found.values()), json.dumps(found, indent=1)
