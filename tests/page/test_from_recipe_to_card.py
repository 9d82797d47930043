"""The second half of the road in a browser, with a server that is killed in the middle of the run and of the exam."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.browser import ARTEFACTS, Studio, browser_page
from tests.projects import build_project

RECIPE = """resolution = 64
rank = 2
target_steps = 999
save_every = "20 steps"
batch_size = 2
[recipe.sample]
prompts = ["zbk, smile"]
steps = 2
[recipe.preserve]
kind = "none"
[exam]
pictures = 8
flexibility_pictures = 4
leakage_pictures = 4
override_pictures = 0
window = [0.8, 1.0]
window_pictures = 4
stacking_pictures = 0
candidates = 1
average = false
steps = 4
grid_steps = 4
strengths = [1.0]
"""
LONG = 300_000
"""Milliseconds for what trains or draws."""


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("LORASMITH_HOME", str(tmp_path / "home"))
    project = build_project(tmp_path / "projects" / "zbk", RECIPE)
    assert project.lora.name == "zbk"
    studio = Studio(tmp_path / "projects")
    studio.start()
    yield studio
    studio.stop()


@pytest.fixture
def page(studio: Studio, browser: Browser) -> Iterator[Page]:
    with browser_page(browser) as page:
        page.goto(f"{studio.address}/#/zbk/recipe")
        yield page


def keep(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def test_from_the_recipe_to_the_card(studio: Studio, page: Page, tmp_path: Path) -> None:
    write_the_recipe(page)
    expect(page.get_by_label("Plan", exact=True)).to_contain_text(re.compile(r"Steps\s*80"), timeout=LONG)
    assert "target_steps = 80" in (tmp_path / "projects" / "zbk" / "lora.toml").read_text("utf-8")
    keep(page, "recipe")
    page.get_by_role("button", name="To the run").click()
    train(page, studio)
    page.get_by_role("button", name="Examine it").click()
    examine(page, studio)
    choose(page)
    draw(page, studio)
    publish(page, studio)
    assert (tmp_path / "projects" / "zbk" / "published" / "zbk.safetensors").is_file()


def write_the_recipe(page: Page) -> None:
    field = page.get_by_label("target_steps", exact=True)
    field.fill("-5")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("greater than")  # told where the eye is, nothing is written
    field.fill("80")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(field).to_have_value("80")


def train(page: Page, studio: Studio) -> None:
    page.get_by_role("button", name="Start a run").first.click()
    run = page.get_by_label(re.compile("^Run "))
    expect(run.get_by_text("of 80")).to_be_visible(timeout=LONG)
    studio.kill()
    studio.start()
    expect(run.get_by_role("button", name="Examine it")).to_be_visible(timeout=LONG)
    expect(page.get_by_label("Samples").get_by_role("img")).to_have_count(1)
    expect(page.get_by_role("img", name="Loss by band of timesteps")).to_be_visible()
    keep(page, "run")


def examine(page: Page, studio: Studio) -> None:
    page.get_by_role("button", name="Examine", exact=True).first.click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible(timeout=LONG)
    studio.kill()
    studio.start()
    expect(page.get_by_label("Verdict")).to_contain_text("hits", timeout=LONG)
    expect(page.get_by_label("Pictures").get_by_role("figure")).to_have_count(8)
    keep(page, "exam")


def choose(page: Page) -> None:
    use = page.get_by_label("The adapter to use")
    snapshot = use.get_by_role("option").nth(1).get_attribute("value")
    assert snapshot is not None
    use.select_option(snapshot)
    expect(page.get_by_text("your choice; the figures are of")).to_be_visible()


def draw(page: Page, studio: Studio) -> None:
    page.goto(f"{studio.address}/#/zbk/draw")
    prompt = page.get_by_label("Prompt", exact=True)
    prompt.fill("zbk, ")
    prompt.press("End")
    prompt.press_sequentially("smi")
    expect(page.get_by_role("option", name="smile").first).to_be_visible()
    prompt.press("Enter")
    expect(prompt).to_have_value("zbk, smile, ")
    page.get_by_role("button", name="Add an adapter").click()
    prompt.press("Control+Enter")
    expect(page.get_by_role("button", name="zbk, smile")).to_have_count(1, timeout=LONG)
    keep(page, "draw")


def publish(page: Page, studio: Studio) -> None:
    page.goto(f"{studio.address}/#/zbk/exam")
    page.get_by_role("tab", name="Card and publish").click()
    expect(page.get_by_label("The card", exact=True)).to_contain_text("Trigger words")
    page.get_by_role("button", name="Keep this licence").click()
    page.get_by_role("button", name="Pack").click()
    expect(page.get_by_text(re.compile("Packed: [0-9]+ files"))).to_be_visible(timeout=LONG)
    keep(page, "card")
