"""The studio's page in Chromium: how soon the first image is there, an edit is shown, a moved strength is drawn,
whether scrolling stutters, and what the tab takes of memory; beside it a Gradio gallery of the same images and tags.

    python -m benchmarks.page [--quick] [--peer PYTHON]

A project of 1,000 (and of 10,000) small images is made in a temporary folder, and read once before it is measured. The
browser is Debian's; without one this says so and measures nothing. PYTHON is one that has gradio, in an environment of
its own, for it does not go with what we pin: `python -m venv peer; peer/bin/pip install gradio==6.31.0`, then
`--peer peer/bin/python`. Without it the peer's lines are left out, with a word.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from lorasmith.examples import example_folder

WEIGHT_GOAL, EDIT_GOAL, MANY_GOAL, FRAME_GOAL = 350_000, 50, 500, 100
MEMORY_GOAL = 300
"""Megabytes."""
FIRST_GOALS = {100: 1000, 1000: 1000, 10_000: 1500}
STRENGTH_GOAL = 1500
"""Milliseconds until a picture of 128 pixels is drawn with another strength."""
_MOVES = 7
_FORM = {"prompt": "zbk, smile", "rows": [{"name": "zbk", "strength": 0.8}], "live": True}
_AFTER_MOVE = """(strength) => new Promise((done) => {
  const began = performance.now(), before = document.querySelector('.live img')?.src;
  const slider = document.querySelector('.adapter input[type=range]');
  slider.value = strength;
  slider.dispatchEvent(new Event('input', {bubbles: true}));
  const look = () => {
    const image = document.querySelector('.live[aria-busy=false] img');
    const drawn = image && image.src !== before && image.src.endsWith('/file') && image.complete;
    if (drawn) done(performance.now() - began);
    else requestAnimationFrame(look);
  };
  look();
})"""
_MEASURE_FRAMES = """async (BOX) => {
  const box = document.querySelector(BOX);
  let worst = 0, last = performance.now();
  const end = last + 3000;
  while (performance.now() < end) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    worst = Math.max(worst, now - last);
    last = now;
    box.scrollTop += 120;
  }
  return worst;
}"""
_SHOWS_EDITED = """() => [...document.querySelectorAll('.caption, .caption-label')]
  .some((each) => each.textContent.includes('edited'))"""
_AFTER_CHANGE = """(action) => new Promise((done) => {
  const began = performance.now();
  const box = document.querySelector('.virtual-grid');
  const watcher = new MutationObserver(() => {
    watcher.disconnect();
    requestAnimationFrame(() => done(performance.now() - began));
  });
  watcher.observe(box, {subtree: true, childList: true, attributes: true, characterData: true});
  if (action === 'tag') document.querySelector('.caption-row .tag:last-child').click();
  else [...document.querySelectorAll('.actions button')].find((each) => each.textContent === action).click();
})"""


def main() -> int:
    """Measure, and print a ratio for each goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 images only")
    parser.add_argument("--peer", metavar="PYTHON", help="a Python that has gradio, to measure a gallery of it, too")
    given = parser.parse_args()
    quick: bool = given.quick
    chromium = find_chromium()
    if chromium is None:
        print("there is no Chromium; set LORASMITH_CHROMIUM")
        print("ratio: nothing measured, no browser = 0 (goal <= 1)")
        return 1 if os.environ.get("CI") else 0
    with tempfile.TemporaryDirectory() as folder:
        counts = [100] if quick else [1000, 10_000]
        for count in counts:
            make_project(Path(folder) / "projects" / f"of-{count}", count)
        adapters = Path(folder) / "adapters"
        adapters.mkdir()
        shutil.copy(example_folder("character") / "adapter.safetensors", adapters / "zbk.safetensors")
        server = serving(Path(folder), "--adapters", str(adapters))
        with server as address:
            for count in counts:  # what is measured once per image is measured before
                httpx.get(f"{address}/api/v1/projects/of-{count}/captions", timeout=600).raise_for_status()
            ours = measure(address, chromium, counts)
            measure_strength(address, chromium, server)
        if given.peer is None:
            print("no peer: --peer names a Python that has gradio; see the head of benchmarks/page.py")
        else:
            measure_peer(given.peer, chromium, Path(folder) / "projects" / f"of-{counts[0]}", ours)
    return 0


def find_chromium() -> str | None:
    """The browser to drive: LORASMITH_CHROMIUM, else Debian's."""
    return os.environ.get("LORASMITH_CHROMIUM") or shutil.which("chromium")


def make_project(root: Path, count: int) -> None:
    """A project of small captioned pictures that look like nothing and unlike each other."""
    chance, images = random.Random(count), root / "images"
    images.mkdir(parents=True)
    tags = [f"tag {number}" for number in range(300)]
    for number in range(count):
        noise = Image.frombytes("RGB", (4, 4), chance.randbytes(48)).resize((96, 128), Image.Resampling.BICUBIC)
        noise.save(images / f"{number:05d}.jpg", quality=80)
        (images / f"{number:05d}.txt").write_text("zbk, " + ", ".join(chance.sample(tags, 12)))
    (root / "lora.toml").write_text('[lora]\nname = "many"\nsubject = "character"\ntrigger = "zbk"\n')


class serving:  # noqa: N801
    """A studio in a process of its own; gives its address."""

    def __init__(self, folder: Path, *more: str) -> None:
        self._folder, self._more = folder, more

    def __enter__(self) -> str:
        command = [sys.executable, "-m", "lorasmith", "studio", "--projects", str(self._folder / "projects")]
        environment = os.environ | {"LORASMITH_HOME": str(self._folder / "home")}
        self._process = subprocess.Popen(
            [*command, "--port", "0", "--no-browser", "--json", *self._more],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert self._process.stdout is not None
        address: str = json.loads(self._process.stdout.readline())["address"]
        return address

    def processor_seconds(self) -> float:
        """What it has taken of all cores so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)


def measure(address: str, chromium: str, counts: list[int]) -> dict[str, float]:
    """Walk the page once for each count, and print what it took; the figures of the first count by name."""
    from playwright.sync_api import sync_playwright

    figures = dict[str, float]()

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for count in counts:
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            weight = [0]
            page.on("response", lambda answer, weight=weight: weight.__setitem__(0, weight[0] + _weight(answer)))
            first = first_image(page, address, count)
            again = first_image(page, address, count)
            worst = page.evaluate(_MEASURE_FRAMES, ".virtual-grid")
            page.evaluate("() => (document.querySelector('.virtual-grid').scrollTop = 0)")
            page.keyboard.press("Control+a")
            many = page.evaluate(_AFTER_CHANGE, "Primary")
            page.goto(f"{address}/#/of-{count}/captions")
            page.locator(".caption-row .tag").first.wait_for()
            page.wait_for_timeout(1500)
            edit = page.evaluate(_AFTER_CHANGE, "tag")
            memory = tab_memory(browser)
            _say(f"memory of the tab with {count} images, MB", memory, MEMORY_GOAL)
            print(f"{count} images: first one cold {first:.0f} ms, again {again:.0f} ms")
            _say(f"first of {count} images, ms", again, FIRST_GOALS[count])
            _say(f"slowest frame of scrolling {count}, ms", worst, FRAME_GOAL)
            _say(f"a decision on {count} images, ms", many, MANY_GOAL)
            _say(f"an edit of one tag of {count}, ms", edit, EDIT_GOAL)
            if count == counts[0]:
                _say("whole page without thumbnails and lists, bytes", weight[0], WEIGHT_GOAL)
                figures = {"first image, ms": again, "slowest frame, ms": worst, "an edit of one tag, ms": edit}
                figures |= {"memory of the tab, MB": memory}
            context.close()
        browser.close()
    return figures


def measure_strength(address: str, chromium: str, server: serving) -> None:
    """Move a strength in Draw, and print how long its picture took, and what of it the server drew."""
    from playwright.sync_api import sync_playwright

    kept = _FORM | {"values": {"width": 128, "height": 128}}
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        page.evaluate("(kept) => localStorage.setItem('lorasmith-draw', JSON.stringify(kept))", kept)
        page.goto(f"{address}/?#/-/draw")
        page.locator(".adapter").wait_for()
        page.evaluate(_AFTER_MOVE, 0.75)  # the base is read
        before = server.processor_seconds()
        took = [page.evaluate(_AFTER_MOVE, 0.1 * move) for move in range(1, 1 + _MOVES)]
        worked = (server.processor_seconds() - before) / _MOVES
        browser.close()
    print(f"a strength was moved {_MOVES} times: {', '.join(f'{each:.0f}' for each in took)} ms")
    load = os.getloadavg()[0]
    print(f"the server worked {worked:.2f} processor seconds for each; {load:.1f} processes wanted to run")
    _say("a picture of 128 pixels after a strength was moved, ms", statistics.median(took), STRENGTH_GOAL)


def measure_peer(python: str, chromium: str, project: Path, ours: dict[str, float]) -> None:
    """The same work in a gallery of Gradio, and our figures over its."""
    from playwright.sync_api import sync_playwright

    script = Path(__file__).with_name("page_peer.py")
    command = [python, str(script), str(project / "images")]
    environment = os.environ | {"GRADIO_ANALYTICS_ENABLED": "False"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    try:
        assert process.stdout is not None
        address = next(line.split()[-1] for line in process.stdout if line.startswith("peer at "))
        with sync_playwright() as started:
            browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(120_000)
            first_of_peer(page, address)
            theirs = {"first image, ms": first_of_peer(page, address)}
            theirs["slowest frame, ms"] = page.evaluate(_MEASURE_FRAMES, ".grid-wrap")
            theirs["an edit of one tag, ms"] = edit_in_peer(page)
            theirs["memory of the tab, MB"] = tab_memory(browser)
            browser.close()
    finally:
        process.terminate()
        process.wait(60)
    for name, value in theirs.items():
        _say(f"{name}, against the same in Gradio", ours[name], value)


def first_of_peer(page: Any, address: str) -> float:
    """Milliseconds from navigation to its first image."""
    page.goto("about:blank")
    began = time.monotonic()
    page.goto(address, wait_until="commit")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.grid-wrap img')].some((each) => each.naturalWidth > 0)", timeout=120_000
    )
    return (time.monotonic() - began) * 1000


def edit_in_peer(page: Any) -> float:
    """Milliseconds from leaving the field with an image's tags to the gallery that shows them."""
    page.locator(".grid-wrap .thumbnail-item").first.click()
    page.wait_for_function("() => document.querySelector('.tags textarea').value.length > 0")
    page.locator(".tags textarea").fill("edited")
    began = time.monotonic()
    page.get_by_role("button", name="Set tags").click()
    page.wait_for_function(_SHOWS_EDITED)
    return (time.monotonic() - began) * 1000


def tab_memory(browser: Any) -> float:
    """Megabytes that the largest renderer holds alone or shares in parts (PSS)."""
    known = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    found = [0.0]
    for each in known:
        if each["type"] == "renderer":
            lines = Path(f"/proc/{each['id']}/smaps_rollup").read_text().splitlines()
            found.append(sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024)
    return max(found)


def first_image(page: Any, address: str, count: int) -> float:
    """Milliseconds from navigation to the first thumbnail that is drawn."""
    page.goto("about:blank")
    began = time.monotonic()
    page.goto(f"{address}/#/of-{count}/images")
    page.wait_for_function("() => [...document.querySelectorAll('.thumb img')].some((each) => each.naturalWidth > 0)")
    return (time.monotonic() - began) * 1000


def _weight(answer: Any) -> int:
    if "/web/" not in answer.url and not answer.url.endswith("/"):
        return 0
    return int(answer.headers.get("content-length", 0))


def _say(what: str, value: float, goal: float) -> None:
    print(f"ratio: {what} ({value:.0f} of {goal:.0f}) = {value / goal:.2f} (goal <= 1)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
