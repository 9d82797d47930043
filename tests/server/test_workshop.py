"""What a studio knows of its projects: another version whenever something of one has changed on the disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lorasmith.server.workshop import Workshop
from tests.projects import build_project

SHOWN_SECONDS = 2.0
"""A change elsewhere is shown within this time; the page asks once a second."""


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    build_project(tmp_path / "projects" / "zbk")
    return Workshop(tmp_path / "projects")


def seen(workshop: Workshop, change: Callable[[], object]) -> bool:
    """Whether a change makes another version before the page should show it."""
    before = (workshop.version("zbk"), workshop.files_version("zbk"))
    assert (workshop.version("zbk"), workshop.files_version("zbk")) == before
    change()
    end = time.monotonic() + SHOWN_SECONDS - 1
    while time.monotonic() < end + 0.2:
        if workshop.version("zbk") != before[0] and workshop.files_version("zbk") != before[1]:
            return True
        time.sleep(0.05)
    return False


def test_a_caption_that_is_edited_in_place(workshop: Workshop) -> None:
    caption = workshop.projects / "zbk" / "images" / "0.txt"

    def edit() -> None:
        with caption.open("r+") as file:
            file.write("ZBK")

    assert seen(workshop, edit)


def test_captions_and_images_that_come(workshop: Workshop) -> None:
    images = workshop.projects / "zbk" / "images"
    assert seen(workshop, lambda: (images / "new.txt").write_text("zbk"))
    assert seen(workshop, lambda: Image.new("RGB", (64, 64)).save(images / "new.png"))


def test_images_outside_of_the_project(workshop: Workshop, tmp_path: Path) -> None:
    outside = tmp_path / "outside" / "2_zbk"
    outside.mkdir(parents=True)
    file = workshop.projects / "zbk" / "lora.toml"
    text = f'{file.read_text("utf-8")}\n[dataset]\nimages = ["images", "{outside.parent}"]\n'
    assert seen(workshop, lambda: file.write_text(text, "utf-8"))
    assert seen(workshop, lambda: Image.new("RGB", (64, 64)).save(outside / "a.png"))
    assert seen(workshop, lambda: (outside / "a.txt").write_text("zbk"))
    assert seen(workshop, lambda: (outside / "a.txt").write_text("zbk, smile"))


def test_a_project_that_cannot_be_read_has_a_version(workshop: Workshop) -> None:
    file = workshop.projects / "zbk" / "lora.toml"
    before = workshop.version("zbk")
    file.write_text("[lora", "utf-8")
    assert workshop.version("zbk") != before
    assert workshop.version("nobody") == workshop.version("nobody")
