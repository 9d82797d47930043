"""A second round from the page: why there is none yet, what it would draw, begun, stopped, and gone on with later."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from lorasmith.examples import copy_example, example_folder


def test_a_round_is_planned_begun_and_stopped(page: Any, projects: Path) -> None:
    root = copy_example("character", projects / "zbk")
    for image in sorted((root / "images").rglob("*.png"))[9:]:
        image.unlink()
        image.with_suffix(".txt").unlink()
    page.goto(f"{page.url.split('#')[0]}#/zbk/images")
    page.get_by_role("button", name="Second round…").click()
    dialog = page.get_by_role("dialog", name="Second round")
    expect(dialog).to_contain_text("No adapter was trained yet")
    expect(dialog.get_by_role("button", name="Draw")).to_be_disabled()
    dialog.get_by_text("Close", exact=True).click()

    trained = root / "runs" / "20260101-000000-zbk"
    trained.mkdir(parents=True)
    shutil.copyfile(example_folder("character") / "adapter.safetensors", trained / "zbk.safetensors")
    page.get_by_role("button", name="Second round…").click()
    expect(dialog).to_contain_text("sunglasses")
    expect(dialog).to_contain_text("to keep 9")
    dialog.get_by_role("button", name="Draw").click()
    dialog.get_by_role("button", name="Stop").click()
    expect(dialog).to_contain_text("It was stopped")
    expect(dialog.get_by_role("button", name="Go on")).to_be_enabled()
