"""Walls that a newcomer ran into: what a screen offers works, and what cannot be done is said beside what was asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import expect

from lorasmith.examples import copy_example
from lorasmith.project import FILE_NAME
from lorasmith.server.workshop import Workshop
from tests.page.browser import browser_page
from tests.server.running import Plain, plain_settings, running

PROJECT = '[lora]\nname = "x"\nsubject = "character"\ntrigger = "x"\n'


def go(page: Any, where: str) -> None:
    """Open a screen anew."""
    address = page.url.split("#")[0]
    page.goto("about:blank")
    page.goto(f"{address}#/{where}")


def test_a_dataset_of_one_leaves_a_whole_screen(page: Any, projects: Path) -> None:
    copy_example("concept", projects / "concept")
    go(page, "concept/images")
    page.locator(".thumb").first.click()
    page.keyboard.press("m")
    page.get_by_role("tab", name="Dataset of one").click()
    page.get_by_role("button", name="Make", exact=True).click()
    expect(page.get_by_text("pictures made; yours stay as they are.")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys").get_by_role("heading", name="Images", exact=True)).to_have_count(1)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Undo").first.click()
    expect(page.get_by_text("Undone: ")).to_be_visible()


def test_where_no_image_can_be_read_others_can_be_added(page: Any, projects: Path, tmp_path: Path) -> None:
    images = projects / "x" / "images"
    images.mkdir(parents=True)
    (projects / "x" / FILE_NAME).write_text(PROJECT, "utf-8")
    (images / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    go(page, "x/images")
    expect(page.get_by_role("alert")).to_contain_text("broken.png: not an image")
    page.get_by_label("Files", exact=True).set_input_files(tmp_path / "red.png")
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator('.thumb[data-name="red.png"]').wait_for()


def test_an_empty_project_is_told_as_one(page: Any, projects: Path) -> None:
    expect(page.get_by_role("button", name="From a path")).to_be_enabled()
    page.get_by_role("button", name="From a path").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("hollow")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_text("hollow is made; it has no images yet.")).to_be_visible()
    assert (projects / "hollow" / FILE_NAME).is_file()


def test_what_a_tagger_or_an_endpoint_cannot_do_is_said_beside_it(page: Any, projects: Path) -> None:
    root = copy_example("concept", projects / "concept")
    go(page, "concept/captions")
    page.get_by_role("tab", name="Taggers").click()
    name = page.get_by_role("textbox", name="Name", exact=False).first
    name.fill(str(projects / "no tagger"))
    page.get_by_role("button", name="Tag the images").click()
    tagger = page.locator("section.card", has=page.get_by_role("heading", name="A tagger"))
    expect(tagger.get_by_role("alert")).to_be_in_viewport(ratio=1)
    before = (root / FILE_NAME).read_bytes()
    page.get_by_label("Address").fill("ftp://nowhere")
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text("not a web address").first).to_be_visible()
    assert (root / FILE_NAME).read_bytes() == before


def test_a_tag_that_is_replaced_by_itself_is_not_left_out(page: Any, projects: Path) -> None:
    copy_example("concept", projects / "concept")
    go(page, "concept/captions")
    page.get_by_role("button", name=re.compile("^Replace ")).first.click()
    write = page.get_by_role("button", name="Write the rule")
    expect(write).to_be_disabled()
    page.get_by_label("Replace by").fill("")
    expect(page.get_by_text(re.compile("captions of [0-9]+ would change"))).to_be_visible()
    expect(write).to_be_enabled()


def test_a_sweep_of_an_unknown_key_is_refused_at_once(page: Any, projects: Path) -> None:
    root = copy_example("concept", projects / "concept")
    before = (root / FILE_NAME).read_bytes()
    go(page, "concept/recipe")
    page.locator(".sweep summary").click()
    page.get_by_label("Key to vary").fill("rnak")
    page.get_by_role("button", name="Vary").click()
    expect(page.locator(".sweep").get_by_role("alert")).to_contain_text('Did you mean "rank"?')
    assert (root / FILE_NAME).read_bytes() == before


def test_a_refused_value_is_told_below_its_field_on_a_phone(page: Any, projects: Path) -> None:
    copy_example("concept", projects / "concept")
    page.set_viewport_size({"width": 360, "height": 740})
    go(page, "concept/recipe")
    page.get_by_role("textbox", name="rank", exact=True).fill("-3")
    page.keyboard.press("Tab")
    fault = page.locator(".key-fault")
    expect(fault).to_have_text(re.compile("^rank = -3: "))
    row = page.locator(".key-row", has=fault)
    name, value, told = (row.locator(part).bounding_box() for part in (".key-name", ".key-value", ".key-fault"))
    assert min(each["width"] for each in (name, value, told)) > 250
    assert name["y"] + name["height"] <= value["y"]
    assert value["y"] + value["height"] <= told["y"]


def test_a_sweep_whose_variants_come_later_is_shown(page: Any, projects: Path) -> None:
    """The first look at a run finds no variants yet; the next ones do."""
    copy_example("concept", projects / "concept")
    head = {"name": "now", "state": "running", "job": 1, "step": 0, "steps": 9, "message": "", "created": 0}
    head |= dict.fromkeys(("place", "loss", "adapter")) | {"settings": [], "is_sweep": False, "probe": False}
    step = {"event": "step", "step": 1, "steps": 9, "loss": 0.5, "eta": 3, "bands": {}, "rates": {}}
    told = {"steps": [step], "last": step, "done": None, "offset": 0}
    told |= {name: [] for name in ("samples", "validations", "snapshots", "notes")}
    nothing = {**told, "steps": [], "last": None}
    looks = [{"": nothing}, {}, {"rank2": told, "rank4": told}]

    def show(route: Any) -> None:
        if route.request.url.endswith("/runs"):
            head["is_sweep"] = len(looks) < 3
            route.fulfill(body=json.dumps({"runs": [head], "worker": True}))
        elif "/events" in route.request.url:
            route.fulfill(body=": nothing\n\n", content_type="text/event-stream")
        else:
            variants = looks.pop(0) if len(looks) > 1 else looks[0]
            route.fulfill(body=json.dumps({"head": head, "recipe": {}, "plan": {}, "variants": variants, "log": []}))

    page.route("**/api/v1/projects/concept/runs**", show)
    go(page, "concept/run")
    expect(page.get_by_role("group", name="Variants").get_by_role("button")).to_have_text(["rank2", "rank4"])
    expect(page.get_by_text("1 of 9")).to_be_visible()


def test_a_refusal_goes_when_what_was_refused_is_changed(page: Any) -> None:
    go(page, "-/draw")
    prompt = page.get_by_label("Prompt", exact=True)
    prompt.fill("smile")
    page.get_by_role("textbox", name="Seed", exact=True).fill("banana")
    prompt.press("Control+Enter")
    alert = page.locator(".draw-act").get_by_role("alert")
    expect(alert).to_contain_text("seed")
    page.get_by_role("textbox", name="Seed", exact=True).fill("7")
    prompt.press("Control+Enter")
    expect(alert).to_have_count(0)
    expect(page.locator(".gallery .picture")).to_have_count(1)
    prompt.fill("{smile|grin} <lora:nobody:1>")
    lint = page.get_by_label("What is doubtful about the prompt")
    expect(lint).to_contain_text('"the prompt is a template" (Draw) makes prompts of it')
    expect(lint).to_contain_text('"Add an adapter" (Draw) lists those that there are')
    expect(lint).not_to_contain_text("/api/")


def test_a_screen_waits_for_the_server_and_a_fault_of_its_own_is_told(
    browser: Any, projects: Path, tmp_path: Path
) -> None:
    with running(plain_settings(tmp_path), Plain(), Workshop(projects)) as (_, server), browser_page(browser) as page:
        page.route("**/api/v1/**", lambda route: route.abort())
        page.goto(f"{server.address}#/-/draw")
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
        page.unroute("**/api/v1/**")
        page.get_by_label("Prompt", exact=True).wait_for()
        page.route("**/api/v1/help", lambda route: route.fulfill(body=json.dumps({"sections": [{}]})))
        page.get_by_role("link", name="Help").click()
        expect(page.get_by_role("alert")).to_contain_text("This screen has a fault and had to stop.")
        page.unroute("**/api/v1/help")
        page.get_by_role("link", name="Draw").click()
        page.get_by_label("Prompt", exact=True).wait_for()
        page.get_by_role("link", name="Help").click()
        page.get_by_text("every image can be read").wait_for()
