"""The whole road in one go, from the spoiled example's folder to a packed card: with the mouse, and by keys alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.spoiling import make_spoiled
from playwright.sync_api import Browser, Page, expect

from lorasmith.dataset.decisions import read_decisions
from lorasmith.project import open_project
from tests.page.axe import faults_on, find_axe
from tests.page.browser import Studio, browser_page
from tests.page.test_from_recipe_to_card import LONG, RECIPE, keep

SHORT = RECIPE.replace("target_steps = 999\n", "")
"""A recipe and an exam that end within a minute; the number of steps is written in the page."""
TABS = 150
"""Presses of Tab until something must be reached."""


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """The folder of images that is dropped."""
    return make_spoiled(tmp_path / "spoiled") / "images"


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("LORASMITH_HOME", str(tmp_path / "home"))
    studio = Studio(tmp_path / "projects")
    studio.start()
    yield studio
    studio.stop()


@pytest.fixture
def page(studio: Studio, browser: Browser) -> Iterator[Page]:
    with browser_page(browser) as page:
        page.set_default_timeout(60_000)
        page.goto(studio.address)
        expect(page.get_by_role("button", name="From a path")).to_be_enabled()
        yield page


def test_the_whole_road_with_the_mouse(page: Page, spoiled: Path, tmp_path: Path) -> None:
    root = tmp_path / "projects" / "road"
    drop_folder(page, spoiled)
    page.get_by_role("textbox", name="Name", exact=True).fill("road")
    page.get_by_role("textbox", name="Trigger").fill("zbk")
    page.get_by_role("button", name="Make it").click()
    page.locator(".thumb").first.wait_for()
    shorten(root)

    page.get_by_role("button", name="Look what is wrong").click()
    page.get_by_role("button", name="Look-alikes, side by side").click()
    expect(page.get_by_role("heading", name="The same file").first).to_be_visible()
    look(page, "road-groups")
    page.get_by_role("button", name=re.compile("Tidy: reject")).click()
    expect(page.get_by_role("button", name=re.compile("^Rejected"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^In the dataset")).click()
    kept = page.locator(".thumb.in").first.get_attribute("data-name")
    page.locator(f'.thumb[data-name="{kept}"]').click()
    page.get_by_role("button", name="Keep", exact=True).click()
    page.locator(f'.thumb.kept[data-name="{kept}"]').wait_for()
    keep(page, "road-images")

    page.get_by_role("link", name="Captions").click()
    row = page.locator(f'.caption-row[data-name="{kept}"]')
    gone = row.locator(".tag").last.inner_text()
    row.locator(".tag").last.click()
    expect(row.locator(".tag", has_text=re.compile(f"^{re.escape(gone)}$"))).to_have_count(0)
    keep(page, "road-captions")

    page.get_by_role("link", name="Recipe").click()
    page.get_by_label("target_steps", exact=True).fill("60")
    page.get_by_role("heading", name="Recipe").click()
    expect(page.get_by_label("Plan", exact=True)).to_contain_text(re.compile(r"Steps\s*60"), timeout=LONG)
    page.get_by_role("button", name="To the run").click()
    page.get_by_role("button", name="Start a run").first.click()
    page.get_by_role("button", name="Examine it").wait_for(timeout=LONG)
    look(page, "road-run")
    page.get_by_role("button", name="Examine it").click()
    page.get_by_role("button", name="Examine", exact=True).first.click()
    expect(page.get_by_label("Verdict")).to_contain_text("hits", timeout=LONG)
    look(page, "road-exam")
    page.get_by_role("tab", name="Card and publish").click()
    page.get_by_role("button", name="Keep this licence").click()
    page.get_by_role("button", name="Pack").click()
    expect(page.get_by_text(re.compile("Packed: [0-9]+ files"))).to_be_visible(timeout=LONG)
    look(page, "road-card")
    assert packed(root) >= {"road.safetensors", "README.md"}
    verbs = [step[0].verb for step in read_decisions(open_project(root)).steps]
    assert verbs[-1] == "keep"
    assert "reject" in verbs


def test_the_whole_road_by_keyboard_alone(page: Page, spoiled: Path, tmp_path: Path) -> None:
    root, inside = tmp_path / "projects" / "keys", tmp_path / "projects" / ".taken"
    spoiled.rename(inside)
    page.keyboard.press("p")
    page.get_by_role("dialog", name="New project").wait_for()
    page.keyboard.type(str(inside))
    tab_to(page, "Name")
    page.keyboard.type("keys")
    tab_to(page, "Trigger")
    page.keyboard.type("zbk")
    page.keyboard.press("Enter")
    page.locator(".thumb").first.wait_for()
    shorten(root)

    page.keyboard.press("i")
    tab_to(page, re.compile("Tidy: reject"), appears=True)
    page.keyboard.press("Enter")
    tab_to(page, re.compile("^In the dataset"), appears=True)
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    page.locator(".thumb.kept.here").wait_for()
    page.keyboard.press("3")
    page.locator(".one-image .tag-input").wait_for()
    page.keyboard.press("t")
    page.keyboard.type("wink")
    page.keyboard.press("Enter")
    page.locator(".tag-row.stands", has_text="wink").wait_for()
    page.keyboard.press("Escape")

    page.keyboard.press("4")
    page.get_by_label("target_steps", exact=True).wait_for()
    page.keyboard.press("/")
    page.keyboard.type("target_steps")
    tab_to(page, "target_steps")
    page.keyboard.press("Control+a")
    page.keyboard.type("60")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Plan", exact=True)).to_contain_text(re.compile(r"Steps\s*60"), timeout=LONG)
    page.keyboard.press("t")
    page.get_by_text("Nothing has been trained yet.").wait_for()
    page.keyboard.press("s")
    page.get_by_role("button", name="Examine it").wait_for(timeout=LONG)
    page.keyboard.press("x")
    tab_to(page, "Examine", appears=True)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Verdict")).to_contain_text("hits", timeout=LONG)
    page.keyboard.press("c")
    tab_to(page, "Keep this licence", appears=True)
    page.keyboard.press("Enter")
    tab_to(page, "Pack", appears=True)
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("Packed: [0-9]+ files"))).to_be_visible(timeout=LONG)
    keep(page, "keys-card")
    assert packed(root) >= {"keys.safetensors", "README.md"}


def look(page: Page, name: str) -> None:
    """Keep a picture of the page, and let axe look at it where axe is there."""
    keep(page, name)
    if find_axe() is not None:
        assert faults_on(page) == [], name


def drop_folder(page: Page, folder: Path) -> None:
    """Let go of a folder over the page, as a file manager does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 500, "y": 180, "data": data})
    page.get_by_role("dialog", name="New project").wait_for()


def shorten(root: Path) -> None:
    """Write what makes training and exam short into the project's lora.toml, as an editor does."""
    file = root / "lora.toml"
    text = file.read_text("utf-8")
    assert "[recipe]\n" in text
    file.write_text(text.replace("[recipe]\n", f"[recipe]\n{SHORT}", 1), "utf-8")


def packed(root: Path) -> set[str]:
    return {file.name for file in (root / "published").iterdir()}


def tab_to(page: Page, name: str | re.Pattern[str], *, appears: bool = False) -> None:
    """Press Tab until what has this name holds the focus, and see that the focus is seen."""
    if appears:
        page.get_by_role("button", name=name, exact=isinstance(name, str)).first.wait_for(timeout=LONG)
    wanted = name if isinstance(name, re.Pattern) else re.compile(f"^{re.escape(name)}$")
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if wanted.search(page.evaluate(_FOCUSED)):
            assert page.evaluate(_IS_SEEN), f"the focus on {name} is not seen"
            return
    raise AssertionError(f"{TABS} times Tab did not come to {name}")


_FOCUSED = """() => {
  const at = document.activeElement;
  const named = at?.getAttribute('aria-label') || at?.labels?.[0]?.querySelector('span')?.textContent
    || at?.labels?.[0]?.textContent || at?.textContent || '';
  return named.trim();
}"""
_IS_SEEN = "() => getComputedStyle(document.activeElement).outlineStyle !== 'none'"
