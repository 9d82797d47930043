"""What goes wrong before the page: it is said where the eye is, in plain words, and nothing is lost."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from lorasmith.examples import copy_example
from lorasmith.project import open_project
from lorasmith.server.workshop import Workshop
from lorasmith.tags.settings import read_settings
from tests.page.browser import Studio, browser_page
from tests.projects import build_project
from tests.server.running import Plain, plain_settings, running

TOKEN = "a-token-for-tests"
GIBIBYTE = 1 << 30
MANY = 24
SLOW = 3_000_000
"""Bytes a second at which files are sent, so that a server can be killed in the middle."""


@pytest.fixture
def first(page: Any) -> Any:
    """The page once the projects are known."""
    expect(page.get_by_role("button", name="From a path")).to_be_enabled()
    return page


def choose(page: Any, *files: Path) -> None:
    """Choose files, and give the project a name."""
    page.get_by_label("Files", exact=True).set_input_files(files)
    page.get_by_role("textbox", name="Name", exact=True).fill("new")


def test_a_zip_of_2_gigabytes_is_refused_before_it_is_sent(first: Any, tmp_path: Path, projects: Path) -> None:
    large = tmp_path / "large.zip"
    with large.open("wb") as out:
        out.truncate(2 * GIBIBYTE + 1)
    choose(first, large)
    expect(first.get_by_role("alert")).to_contain_text("large.zip has 2.0 GB; the most for one file are 1024.0 MB")
    expect(first.get_by_role("button", name="Make it")).to_be_disabled()
    assert not (projects / ".uploads").exists()


def test_a_zip_that_would_unpack_to_gigabytes(first: Any, tmp_path: Path, projects: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.png", "w", force_zip64=True) as out,
    ):
        for _ in range(2 * 16 + 1):
            out.write(bytes(GIBIBYTE // 16))
    assert bomb.stat().st_size < 4_000_000
    choose(first, bomb)
    first.get_by_role("button", name="Make it").click()
    expect(first.get_by_role("dialog").get_by_role("alert")).to_contain_text("bomb.zip")
    expect(first.get_by_role("button", name="Make it")).to_be_enabled()
    assert not (projects / "new").exists()


def test_a_broken_image_alone(first: Any, tmp_path: Path, projects: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"this is no picture")
    choose(first, broken)
    first.get_by_role("button", name="Make it").click()
    expect(first.get_by_text("broken.png").first).to_be_visible()
    assert not list(projects.glob("new/images/*.partial"))


def test_two_tabs_write_one_caption(page: Any, projects: Path) -> None:
    root = copy_example("concept", projects / "concept")
    address = page.url.split("#")[0]
    other = page.context.new_page()
    for tab in (page, other):
        tab.goto("about:blank")
        tab.goto(f"{address}#/concept/captions")
        tab.locator(".caption-row.here").wait_for()
        tab.get_by_role("combobox", name="Add a tag").wait_for()
    name = page.locator(".caption-row.here").get_attribute("data-name")
    for tab, tag in ((page, "wink"), (other, "hat")):
        field = tab.get_by_role("combobox", name="Add a tag")
        field.fill(tag)
        field.press("Enter")
    for tab in (page, other):
        for tag in ("wink", "hat"):
            tab.locator(f'.caption-row[data-name="{name}"] .tag', has_text=tag).wait_for()
    assert sorted(read_settings(open_project(root)).images[name].add) == ["hat", "wink"]
    other.close()


def test_what_only_an_address_can_name(page: Any, projects: Path) -> None:
    root = copy_example("concept", projects / "concept")
    before = (root / "lora.toml").read_bytes()
    answer = page.evaluate(
        """async () => {
            const body = JSON.stringify({set: {"recipe.rnak": 8}, unset: []});
            const headers = {"content-type": "application/json"};
            const answer = await fetch("/api/v1/projects/concept/recipe", {method: "PATCH", body, headers});
            return {status: answer.status, error: (await answer.json()).error};
        }"""
    )
    assert answer["status"] == 422
    assert "rank" in json.dumps(answer["error"])
    assert (root / "lora.toml").read_bytes() == before
    address = page.url.split("#")[0]
    page.goto(f"{address}#/nobody/images")
    expect(page.get_by_text("There is no such project any more.")).to_be_visible()
    page.get_by_role("link", name="All projects").click()
    expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible()
    page.goto(f"{address}#/%E0%A4%A/images")
    page.reload()
    expect(page.get_by_text("There is no such project any more.")).to_be_visible()
    page.goto(f"{address}#/concept/nonsense")
    expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible()


def test_without_the_token(browser: Any, projects: Path, tmp_path: Path) -> None:
    settings = replace(plain_settings(tmp_path), token=TOKEN)
    with running(settings, Plain(), Workshop(projects)) as (_, server):
        context = browser.new_context()
        answer = context.request.get(server.address)
        assert answer.status == 401
        assert "a token is needed" in answer.text()
        context.close()
        context = browser.new_context(http_credentials={"username": "anybody", "password": TOKEN})
        shown = context.new_page()
        shown.goto(server.address)
        expect(shown.get_by_role("button", name="From a path")).to_be_enabled()
        context.close()


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("LORASMITH_HOME", str(tmp_path / "home"))
    assert build_project(tmp_path / "projects" / "zbk").lora.name == "zbk"
    studio = Studio(tmp_path / "projects")
    studio.start()
    yield studio
    studio.stop()


def test_an_upload_outlives_its_server(studio: Studio, browser: Any, tmp_path: Path) -> None:
    folder, chance = tmp_path / "pictures", random.Random(1)
    folder.mkdir()
    for number in range(MANY):
        noise = Image.frombytes("RGB", (400, 400), chance.randbytes(480_000))
        noise.save(folder / f"{number:02d}.png")
    with browser_page(browser) as page:
        page.goto(studio.address)
        expect(page.get_by_role("button", name="From a path")).to_be_enabled()
        session = page.context.new_cdp_session(page)
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": SLOW}
        session.send("Network.emulateNetworkConditions", limits)
        page.get_by_label("Folder", exact=True).set_input_files(folder)
        page.get_by_role("textbox", name="Name", exact=True).fill("new")
        page.get_by_role("button", name="Make it").click()
        uploads = studio.projects / ".uploads"
        for _ in range(600):
            whole = len(list(uploads.rglob("*.png")))
            if whole >= 3:
                break
            page.wait_for_timeout(50)
        studio.kill()
        whole = len(list(uploads.rglob("*.png")))
        assert 3 <= whole < MANY
        expect(page.get_by_text("The server is away; waiting for it")).to_be_visible(timeout=30_000)
        assert not (studio.projects / "new").exists()
        studio.start()
        expect(page.get_by_text(f"{MANY} images, 0 captions taken in.")).to_be_visible(timeout=120_000)
    taken = studio.projects / "new" / "images"
    for file in folder.iterdir():
        assert next(taken.rglob(file.name)).read_bytes() == file.read_bytes()
