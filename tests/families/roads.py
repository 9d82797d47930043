"""What the tests of a family from outside do again and again: projects, runs, commands, pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lorasmith.bases.base import Base
from lorasmith.cli.main import run as run_command
from lorasmith.events import Done, Event, finish
from lorasmith.generation.pictures import Picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.project import Project, open_project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train

BLUE, SIZES = (25, 25, 230), ((96, 96), (96, 96), (96, 96), (128, 64))
SHORT = {"target_steps": "3", "save_every": '"100 steps"', "batch_size": "2"}
"""A run of three steps."""


@dataclass(frozen=True)
class Run:
    """A run of a project that came to its end."""

    project: Project
    done: Done
    losses: tuple[float, ...]


def build_project(root: Path, base: Path, more: str = "") -> Project:
    """Pictures that are blue, which no caption says: the trigger shall mean it. Their lower right counts less."""
    (root / "images").mkdir(parents=True)
    for number, size in enumerate(SIZES):
        picture = Image.new("RGB", size, BLUE)
        picture.paste((60, 60, 200), (4 * number, 4, 4 * number + 12, 20))
        alpha = Image.new("L", size, 255)
        alpha.paste(255 - 60 * number, (48, 32, *size))
        picture.putalpha(alpha)
        picture.save(root / "images" / f"{number}.png")
        (root / "images" / f"{number}.txt").write_text("zbk, picture, smile" if number else "zbk, picture")
    (root / "lora.toml").write_text(
        f'[lora]\nname = "zbk"\nsubject = "concept"\ntrigger = "zbk"\nbase = "{base}"\n'
        f'[provenance]\nsource = "drawn for tests"\n[exam]\njudge = "judge"\nidentity = ["mostly_blue"]\n'
        f'pictures = 8\nsteps = 4\ngrid_steps = 2\nprecision = "fp32"\n{more}'
    )
    return open_project(root)


def run(project: Project, base: Base, settings: dict[str, str], **how: Any) -> tuple[Done, list[Event]]:
    """Train with these settings over the preset."""
    events: list[Event] = []
    return finish(train(project, read_recipe(project, settings), base=base, **how), events.append), events


def command(*words: object) -> None:
    """A command line as a user types it."""
    assert run_command([str(word) for word in words]) == 0, words


def told(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """The JSON document that a command prints."""
    capsys.readouterr()
    command(*words, "--json")
    return json.loads(capsys.readouterr().out)


def draw(pipeline: Pipeline, *specs: PictureSpec) -> list[Picture]:
    return finish(pipeline.draw(specs))


def blueness(picture: Picture) -> float:
    """The mean of the blue channel, of 255, less that of the others."""
    red, green, blue = np.asarray(picture.image, float).mean((0, 1))
    return float(blue - (red + green) / 2)


def apart(one: Picture, other: Picture) -> int:
    """The largest difference of a channel, of 255."""
    return int(np.abs(np.asarray(one.image, int) - np.asarray(other.image, int)).max())
