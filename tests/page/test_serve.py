"""`lorasmith serve` has no projects: its page is the studio's Draw screen alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.page.browser import browser_page
from tests.page.conftest import SHOTS
from tests.server.running import Plain, plain_settings, running


def test_it_draws_without_projects(browser: Any, tmp_path: Path) -> None:
    with running(plain_settings(tmp_path), Plain()) as (_, server), browser_page(browser) as page:
        missing = list[str]()
        page.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
        page.goto(server.address)
        prompt = page.get_by_label("Prompt", exact=True)
        prompt.press_sequentially("smi")
        page.get_by_role("option", name="smile").first.wait_for()
        prompt.press("Enter")
        prompt.press("Control+Enter")
        page.locator(".gallery .picture").first.wait_for()
        assert page.locator(".step").count() == 0
        page.locator(".gallery .picture").first.click(modifiers=["Control"])
        page.get_by_role("button", name="Board …").click()
        page.get_by_role("combobox", name="Board").fill("first tries")
        page.keyboard.press("Enter")
        page.get_by_text("On the board “first tries”").wait_for()
        page.get_by_label("Board", exact=True).select_option("first tries")
        page.get_by_text("1 picture", exact=True).wait_for()
        page.screenshot(path=SHOTS / "serve.png")
        assert missing == []


def test_a_list_of_wildcards_is_completed_and_makes_the_prompt_a_template(browser: Any, tmp_path: Path) -> None:
    lists, engine = tmp_path / "wildcards" / "colours", Plain()
    lists.mkdir(parents=True)
    (lists / "warm.txt").write_text("red\npink\n", "utf-8")
    settings = plain_settings(tmp_path, wildcards=lists.parent)
    with running(settings, engine) as (_, server), browser_page(browser) as page:
        page.goto(server.address)
        prompt = page.get_by_label("Prompt", exact=True)
        prompt.fill("smile, a ")
        prompt.press("End")
        prompt.press_sequentially("__col")
        page.get_by_role("option", name="__colours/warm__ pink, red").wait_for()
        prompt.press("Enter")
        expect(prompt).to_have_value("smile, a __colours/warm__, ")
        prompt.press_sequentially("{cap|__war")
        page.get_by_role("option", name="__colours/warm__").wait_for()
        prompt.press("Enter")
        expect(prompt).to_have_value("smile, a __colours/warm__, {cap|__colours/warm__")
        prompt.fill("smile, a __colours/warm__ hat")
        expect(page.get_by_text("The prompt is a template now")).to_be_visible()
        page.get_by_role("spinbutton", name="Pictures").fill("6")
        prompt.press("Control+Enter")
        expect(page.locator(".gallery .picture")).to_have_count(6)
        assert engine.engine is not None
        assert set(engine.engine.drawn) == {"smile, a red hat", "smile, a pink hat"}
