"""The first half of the road in a browser: with the mouse, and by keyboard alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lorasmith.dataset.decisions import read_decisions
from lorasmith.examples import example_folder
from lorasmith.project import open_project
from lorasmith.tags.settings import read_settings
from tests.server.running import wait_for


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    """A folder to drop: nine images of the shipped character, and one that is no picture."""
    source, folder = example_folder("character") / "images", tmp_path / "zbk"
    folder.mkdir()
    images = sorted(source.rglob("*.png"))[:9]
    assert len(images) == 9
    for image in images:
        (folder / image.name).write_bytes(image.read_bytes())
        (folder / f"{image.stem}.txt").write_bytes(image.with_suffix(".txt").read_bytes())
    (folder / "broken.png").write_bytes(b"this is no picture")
    return folder


def first_names(dropped: Path, count: int) -> list[str]:
    return [image.name for image in sorted(dropped.glob("*.png")) if image.name != "broken.png"][:count]


def drop(page: Any, image: Path) -> None:
    """Let go of an image over the page."""
    data = json.dumps(list(image.read_bytes()))
    page.evaluate(
        f"""() => {{
            const moved = new DataTransfer();
            moved.items.add(new File([new Uint8Array({data})], {json.dumps(image.name)}, {{type: "image/png"}}));
            dispatchEvent(new DragEvent("drop", {{dataTransfer: moved, bubbles: true, cancelable: true}}));
        }}"""
    )


def verbs(root: Path) -> list[str]:
    return [step[0].verb for step in read_decisions(open_project(root)).steps]


def test_with_the_mouse(page: Any, dropped: Path, projects: Path) -> None:
    page.get_by_text("Drop a folder, images or a zip here").wait_for()
    page.get_by_text("Or look around in an example first").wait_for()
    page.locator("input[webkitdirectory]").set_input_files(dropped)
    page.get_by_role("textbox", name="Name", exact=True).fill("zbk-lora")
    page.get_by_role("textbox", name="Trigger").fill("zbk")
    page.get_by_role("button", name="Make it").click()

    first, second, third = first_names(dropped, 3)
    page.locator(f'.thumb[data-name="{first}"]').click()
    page.get_by_role("button", name="Keep", exact=True).click()
    page.locator(f'.thumb.kept[data-name="{first}"]').wait_for()
    page.locator(f'.thumb[data-name="{second}"]').click()
    page.locator(f'.thumb[data-name="{third}"]').click(modifiers=["Control"])
    page.get_by_role("button", name="Reject", exact=True).click()
    assert page.locator(".thumb.rejected").count() == 2
    page.get_by_role("toolbar").get_by_role("button", name="Undo").click()
    page.locator(f'.thumb.in[data-name="{second}"]').wait_for()
    page.get_by_role("toolbar").get_by_role("button", name="Redo").click()
    page.locator(f'.thumb.rejected[data-name="{second}"]').wait_for()
    wait_for(lambda: verbs(projects / "zbk-lora") == ["keep", "reject"], 30)

    page.get_by_role("button", name="Look what is wrong").click()
    page.get_by_role("heading", name="Findings").wait_for()
    hole = page.locator(".filter", has_text="from behind")
    assert re.search(r"0 of \d", hole.inner_text())
    page.locator(".filter", has_text="L0").first.wait_for()

    page.get_by_role("link", name="Captions").click()
    row = page.locator(f'.caption-row[data-name="{first}"]')
    row.wait_for()
    row.click(position={"x": 20, "y": 40})
    dropped_tag = row.locator(".tag").last.inner_text()
    row.locator(".tag").last.click()
    page.locator(".tag-row.gone", has_text=dropped_tag).wait_for()
    field = page.get_by_role("combobox", name="Add a tag")
    field.fill("sm")
    page.get_by_role("option").first.wait_for()
    field.fill("wink")
    field.press("Enter")
    page.locator(".tag-row.stands", has_text="wink").wait_for()
    entry = read_settings(open_project(projects / "zbk-lora")).images[first]
    assert (entry.add, entry.remove) == (("wink",), (dropped_tag,))

    page.get_by_role("tab", name="Rules").click()
    page.get_by_role("checkbox", name="trigger T1").uncheck()
    page.get_by_text(re.compile("captions of 7 would change|No caption would change")).wait_for()
    page.get_by_role("button", name="Drop it").click()
    assert read_settings(open_project(projects / "zbk-lora")).off == ()


def test_by_keyboard_alone(page: Any, dropped: Path, projects: Path) -> None:
    page.get_by_text("Drop a folder, images or a zip here").wait_for()
    page.get_by_role("button", name="From a path").wait_for()
    page.wait_for_function("() => !document.querySelector('.projects-head button').disabled")
    inside = projects / ".taken"
    inside.mkdir(parents=True, exist_ok=True)
    for file in dropped.iterdir():
        (inside / file.name).write_bytes(file.read_bytes())
    page.keyboard.press("p")
    page.get_by_role("dialog").get_by_role("textbox").first.wait_for()
    page.keyboard.type(str(inside))
    page.keyboard.press("Tab")
    page.keyboard.type("by-keys")
    page.keyboard.press("Enter")
    first, second = first_names(dropped, 2)
    page.locator(f'.thumb[data-name="{first}"]').wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    page.locator(f'.thumb.kept[data-name="{first}"]').wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.locator(f'.thumb.rejected[data-name="{second}"]').wait_for()
    page.keyboard.press("u")
    page.locator(f'.thumb.in[data-name="{second}"]').wait_for()
    page.keyboard.press("Shift+U")
    page.locator(f'.thumb.rejected[data-name="{second}"]').wait_for()
    page.keyboard.press("l")
    page.get_by_role("combobox", name="Label").wait_for()
    page.keyboard.type("from behind")
    page.keyboard.press("Enter")
    page.locator(".thumb.here .mark", has_text="⚑").wait_for()
    page.keyboard.press("Shift+?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    wait_for(lambda: verbs(projects / "by-keys") == ["keep", "reject", "label"], 30)
    page.keyboard.press("3")
    page.locator(".caption-row.here").wait_for()
    page.locator(".one-image .tag-input").wait_for()
    page.keyboard.press("t")
    page.keyboard.type("wink")
    page.keyboard.press("Enter")
    page.locator(".tag-row.stands", has_text="wink").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    page.locator(".tag-row.stands", has_text="wink").wait_for(state="detached")
    wait_for(lambda: not read_settings(open_project(projects / "by-keys")).images, 30)


def test_a_change_elsewhere_is_shown(page: Any, projects: Path) -> None:
    page.get_by_role("button", name="concept").click()
    page.locator(".thumb").first.wait_for()
    name = page.locator(".thumb").first.get_attribute("data-name")
    from lorasmith.cli.main import run

    assert run(["curate", "reject", str(projects / "concept"), name]) == 0
    page.locator(f'.thumb.rejected[data-name="{name}"]').wait_for(timeout=15_000)


def test_what_is_dropped_on_the_page(page: Any, dropped: Path) -> None:
    page.get_by_text("Drop a folder, images or a zip here").wait_for()
    page.wait_for_function("() => !document.querySelector('.projects-head button').disabled")
    drop(page, dropped / first_names(dropped, 1)[0])
    page.get_by_role("dialog", name="New project").wait_for()
    page.get_by_text("1 file,").wait_for()


def test_images_dropped_on_a_project_are_added(page: Any, dropped: Path) -> None:
    page.get_by_role("button", name="concept").click()
    page.locator(".thumb").first.wait_for()
    drop(page, dropped / first_names(dropped, 1)[0])
    page.get_by_role("dialog", name="Add images to concept").wait_for()
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("1 image, 0 captions taken in.").wait_for()
    page.get_by_role("button", name="Without a caption 1").click()
    page.locator(f'.thumb[data-name="{first_names(dropped, 1)[0]}"]').wait_for()


def test_a_path_outside_says_so(page: Any) -> None:
    page.wait_for_function("() => document.querySelector('.projects-head button')?.disabled === false")
    page.get_by_role("button", name="From a path").click()
    page.get_by_label("Where the images are").fill("/etc")
    page.get_by_role("textbox", name="Name", exact=True).fill("etc")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("alert").get_by_text("/etc: lies outside").wait_for()
