"""kohya's trainer (sd-scripts): its arguments, read, and written into exports and headers, by one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.recipe.exchange.imported import Imported, LeftOut
from lorasmith.recipe.exchange.kohya.front_end import flatten, from_gui, is_kohya
from lorasmith.recipe.exchange.kohya.reading import from_arguments
from lorasmith.recipe.exchange.kohya.writing import to_kohya
from lorasmith.recipe.exchange.other_trainer import OtherTrainer, Surroundings
from lorasmith.recipe.recipe import Recipe


def _read(document: Mapping[str, Any]) -> Imported:
    return from_arguments(from_gui(flatten(document)), "kohya")


def _write(recipe: Recipe, around: Surroundings) -> tuple[str, list[LeftOut]]:
    return to_kohya(recipe, name=around.name, dataset_config=around.dataset_config)


OTHER_TRAINER = OtherTrainer("kohya", "kohya's training TOML and JSON", is_kohya, _read, _write)
