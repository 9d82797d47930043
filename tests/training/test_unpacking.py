"""The recipe stops at the door."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from lorasmith.recipe.recipe import Recipe
from lorasmith.training.unpacking import unpack

TRAINING = Path(__file__).parents[2] / "src" / "lorasmith" / "training"
KNOW_RECIPES = {
    "loop.py",  # the door
    "unpacking.py",
    "inputs/reading.py",  # plans the images with it
    "runs/folder.py",  # keeps it
    "runs/metadata.py",  # writes it into headers
    "runs/resuming.py",  # compares it
}


def test_few_rooms_know_what_a_recipe_is() -> None:
    files = sorted(TRAINING.rglob("*.py"))
    assert len(files) > 30
    knowing = {
        str(file.relative_to(TRAINING))
        for file in files
        if re.search(r"recipe\.recipe import", file.read_text("utf-8"))
    }
    assert knowing == KNOW_RECIPES


def test_what_is_unpacked_is_frozen_and_holds_no_table_of_the_recipe() -> None:
    told: list[Any] = [unpack(Recipe(epochs=1))]
    seen = 0
    while told:
        each = told.pop()
        seen += 1
        assert not type(each).__module__.startswith("lorasmith.recipe.recipe"), type(each)
        assert type(each).__dataclass_params__.frozen
        told += [value for field in fields(each) if is_dataclass(value := getattr(each, field.name))]
    assert seen > 15


ROOMS = ("settings", "conditioning", "inputs", "rows", "steps", "runs")
"""Rooms of training, each of which knows those before it."""


def test_rooms_know_those_before_them_only() -> None:
    seen = 0
    for file in sorted(TRAINING.rglob("*.py")):
        here = file.relative_to(TRAINING).parts[0].removesuffix(".py")
        if here not in ROOMS:
            continue
        for there in re.findall(r"from lorasmith\.training\.(\w+)", file.read_text("utf-8")):
            seen += 1
            assert there in ROOMS, f"{file.name} imports {there}"
            assert ROOMS.index(there) <= ROOMS.index(here), f"{file.name} ({here}) imports {there}"
    assert seen > 30
