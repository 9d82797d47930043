"""`lorasmith serve` has no projects: its page is the studio's Draw screen alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
