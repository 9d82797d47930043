"""Small projects on disk for tests: a lora.toml, coloured images, captions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lorasmith.project import Project, open_project

COLOURS = ("red", "blue", "green", "white", "black", "yellow")


def draw_apart(folder: Path) -> None:
    """Make the images of a folder so different from each other that no two look like copies."""
    for number, path in enumerate(sorted(folder.glob("*.png"))):
        chance = random.Random(number)
        small = Image.frombytes("RGB", (6, 6), bytes(chance.randrange(256) for _ in range(108)))
        with Image.open(path) as old:
            size = old.size
        small.resize(size, Image.Resampling.BICUBIC).save(path)


def build_project(
    root: Path,
    recipe: str = "",
    *,
    base: str = "doodle",
    sizes: Sequence[tuple[int, int]] = ((64, 64), (64, 64), (128, 32)),
    subject: str = "character",
    folder: str = "",
) -> Project:
    """A project with one captioned image per size; `recipe` is the text of [recipe]."""
    images = root / "images" / folder
    images.mkdir(parents=True)
    for number, size in enumerate(sizes):
        colour = COLOURS[number % len(COLOURS)]
        picture = Image.new("RGB", size, colour)
        picture.paste("grey", (size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2 + number))
        picture.save(images / f"{number}.png")
        (images / f"{number}.txt").write_text(f"zbk, {colour} hair, smile, blue background")
    (root / "lora.toml").write_text(
        f'[lora]\nname = "zbk"\nsubject = "{subject}"\ntrigger = "zbk"\nbase = "{base}"\n'
        f'[provenance]\nsource = "drawn for tests"\n[recipe]\n{recipe}\n'
    )
    return open_project(root)
