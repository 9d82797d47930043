"""Take the pictures of the studio that README and page.md show; or look at every screen at every size.

    .venv/bin/python -m docs.page_pictures lorasmith-demo/project
    .venv/bin/python -m docs.page_pictures lorasmith-demo/project --walk build/page/walk

The project is that of `lorasmith demo`, or any that has a run and an exam; it is copied, not touched. `--walk` writes
sheets instead: all screens at 1440, 1024 and 360 pixels, light and dark, of an empty project, of this one, of one with
10,000 images (but Library and Help), and with an error on each: a broken lora.toml, a server that answers 500 or
404 to everything, one that has gone, and one that refuses what is asked for. Chromium is Debian's, or
LORASMITH_CHROMIUM.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from benchmarks.page import find_chromium, make_project, serving
from PIL import Image

PICTURES = Path(__file__).parent / "pictures"
SCREENS = ("projects", "images", "captions", "recipe", "run", "exam", "draw", "library", "help")
SIZES = ((1440, 900), (1024, 768), (360, 740))
SHOWN = ("images", "captions", "exam", "draw")
"""The screens whose pictures the docs show."""
MANY = 10_000
SETTLE = 900
"""Milliseconds until what a screen asks for has come."""
_EMPTY, _FULL, _BROKEN = "nothing", "zbk", "broken"
STATES = {
    "empty": _EMPTY,
    "full": _FULL,
    "many": f"of-{MANY}",
    "error": _BROKEN,
    "fault": _FULL,
    "missing": _FULL,
    "gone": _FULL,
    "refused": _FULL,
}
"""What is looked at, and the project that shows it."""
HEAVY = SCREENS[:7]
"""The screens that are looked at with MANY images."""


def main(argv: Sequence[str] | None = None) -> int:
    """Take them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("project", type=Path, help="a project with a run and an exam, such as the demo's")
    parser.add_argument("--walk", type=Path, help="look at every screen: write sheets into this folder")
    parser.add_argument("--only", nargs="*", default=[], help=f"states of --walk: {', '.join(STATES)}")
    given = parser.parse_args(argv)
    chromium = find_chromium()
    if chromium is None:
        print("there is no Chromium; set LORASMITH_CHROMIUM")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        projects = Path(folder) / "projects"
        shutil.copytree(given.project, projects / "zbk")
        with serving(Path(folder)) as address, opened(chromium) as browser:
            look_closely(address, "zbk")
            if given.walk is None:
                take_pictures(browser, address)
            else:
                walk(browser, address, projects, given.walk, given.only or tuple(STATES))
    return 0


@contextmanager
def opened(chromium: str) -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def look_closely(address: str, project: str) -> None:
    """Let the server inspect a project's images, and wait for it."""
    at = f"{address}/api/v1"
    task = httpx.post(f"{at}/projects/{project}/findings", timeout=60).raise_for_status().json()
    while httpx.get(f"{at}/tasks/{task['id']}", timeout=60).json()["state"] == "running":
        time.sleep(0.3)


def take_pictures(browser: Any, address: str) -> None:
    """Write the pictures of the docs, as WebP of twice the pixels that are seen, halved in width."""
    for screen in SHOWN:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        show(page, address, "zbk", screen)
        if screen == "images":
            page.locator(".thumb").nth(3).click()
            page.locator(".thumb").nth(4).click(modifiers=["Control"])
        if screen == "draw":
            page.get_by_label("Prompt", exact=True).fill("zbk, smile, red background")
            page.get_by_role("button", name="Add an adapter").click()
            page.get_by_role("spinbutton", name="Pictures").fill("6")
            page.get_by_label("Prompt", exact=True).press("Control+Enter")
            page.wait_for_function("() => document.querySelectorAll('.gallery img').length >= 6", timeout=180_000)
            page.locator(".job").wait_for(state="detached", timeout=60_000)
        page.wait_for_timeout(SETTLE)
        image = Image.open(io.BytesIO(page.screenshot()))
        image.convert("RGB").save(PICTURES / f"page-{screen}.webp", quality=82, method=6)
        page.close()


def walk(browser: Any, address: str, projects: Path, into: Path, states: Sequence[str]) -> None:
    """Write a sheet for each state, size and theme."""
    into.mkdir(parents=True, exist_ok=True)
    for state in states:
        names = HEAVY if state == "many" else SCREENS
        project = STATES[state]
        prepare(address, projects, state, project)
        for width, height in SIZES:
            for theme in ("light", "dark"):
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                page = context.new_page()
                spoil(page, state)
                pictures = []
                for screen in names:
                    show(page, address, project, screen)
                    if state == "refused":
                        ask_wrong(page, screen)
                    pictures.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
                    tell_sideways(page, f"{state} {screen} {width} {theme}")
                context.close()
                sheet(pictures, 3).save(into / f"{state}-{width}-{theme}.png")


def spoil(page: Any, state: str) -> None:
    """Let the server fail as a state says, once the page itself is there."""
    if state == "error":  # what is of no project cannot be reached
        for what in ("library", "help", "form", "status"):
            page.route(f"**/api/v1/{what}*", lambda route: route.fulfill(status=500, body=_FAULT))
    elif state in ("fault", "missing"):
        status = 500 if state == "fault" else 404
        page.route(_BUT_EVENTS, lambda route: route.fulfill(status=status, body=_FAULT))
    elif state == "refused":  # what the page asks for here cannot be wrong
        page.route(_ALWAYS_RIGHT, lambda route: _refuse(route))
    elif state == "gone":
        page.route("**/api/v1/**", lambda route: route.abort())


def _refuse(route: Any) -> None:
    if route.request.method == "POST":
        route.fulfill(status=422, body=_REFUSAL)
    else:
        route.continue_()


def ask_wrong(page: Any, screen: str) -> None:
    """Ask for what the server refuses, in the screen's own way."""
    button = partial(page.get_by_role, "button")
    if screen == "projects":
        button(name="From a path").click()
        page.get_by_label("Where the images are").fill("/")
        page.get_by_role("textbox", name="Name", exact=True).fill("new")
        button(name="Make it").click()
    elif screen == "images":
        page.locator(".thumb").first.click()
        page.keyboard.press("x")
    elif screen == "captions":
        page.get_by_role("tab", name="Rules").click()
        page.get_by_role("spinbutton", name="threshold").first.fill("7")
        page.keyboard.press("Tab")
    elif screen == "recipe":
        page.get_by_role("textbox", name="rank", exact=True).fill("-3")
        page.keyboard.press("Tab")
    elif screen == "run":
        button(name="Start a run").first.click()
    elif screen == "exam":
        button(name="Quick exam").click()
    elif screen == "draw":
        page.get_by_role("spinbutton", name="Width", exact=True).fill("100")
        page.get_by_label("Prompt", exact=True).press("Control+Enter")
    elif screen == "library":
        page.get_by_label("Address on a hub").fill("not an address")
        button(name="Install").click()
    page.wait_for_timeout(SETTLE)


def prepare(address: str, projects: Path, state: str, project: str) -> None:
    """Make the project of a state."""
    if state == "many":
        make_project(projects / project, MANY)
        httpx.get(f"{address}/api/v1/projects/{project}/captions", timeout=900).raise_for_status()
    elif state in ("empty", "error"):
        images = projects / project / "images"
        images.mkdir(parents=True)
        text = '[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\n'
        (images.parent / "lora.toml").write_text(text if state == "empty" else text + 'trigger = "twice"\n', "utf-8")


def show(page: Any, address: str, project: str, screen: str) -> None:
    """Open a screen and wait until it stands still."""
    page.goto("about:blank")
    page.goto(f"{address}/#/{project}/{screen}")
    page.wait_for_timeout(SETTLE)


def tell_sideways(page: Any, what: str) -> None:
    """Print what is wider than the window."""
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    if wide > 0:
        print(f"{what}: {wide} pixels stand out at the right")


def sheet(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """All pictures on one sheet."""
    width = min(720, pictures[0].width)
    small = [one.resize((width, one.height * width // one.width), Image.Resampling.LANCZOS) for one in pictures]
    columns = columns if width > 400 else len(small)
    rows = -(-len(small) // columns)
    whole = Image.new("RGB", (columns * (width + 8), rows * (small[0].height + 8)), "#c03")
    for number, one in enumerate(small):
        whole.paste(one, (number % columns * (width + 8), number // columns * (one.height + 8)))
    return whole


_BUT_EVENTS = re.compile(r"/api/v1/(?!events)")
_ALWAYS_RIGHT = re.compile(r"/(decisions|runs|exams)$")
_REFUSAL = '{"error": {"message": "rank = 0: at least 1.", "where": "recipe", "hint": "Give another rank."}}'
_FAULT = '{"error": {"message": "the disk cannot be read.", "where": "library", "hint": "Look at its cable."}}'

if __name__ == "__main__":
    raise SystemExit(main())
