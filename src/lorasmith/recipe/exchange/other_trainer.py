"""What another trainer is to us: recipes that it writes, and recipes for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.recipe.exchange.imported import Imported, LeftOut
from lorasmith.recipe.recipe import Recipe


@dataclass(frozen=True)
class Surroundings:
    """What an export may hold besides the recipe: the adapter's `name`, the file that names the images, and by the
    plan one number of `repeats` for all images and the `steps` (None where they are not known)."""

    name: str
    dataset_config: Path | None = None
    repeats: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class OtherTrainer:
    """Another trainer: its `name`, and what its files are called to people.

    `recognises`: is this document one of its recipes? `read` makes values of `[recipe]` of it; `write` gives a file's
    text and what that leaves out. `counts`: a recipe for it holds steps and repeats. What is None it cannot do.
    """

    name: str
    files: str
    recognises: Callable[[Mapping[str, Any]], bool] | None = None
    read: Callable[[Mapping[str, Any]], Imported] | None = None
    write: Callable[[Recipe, Surroundings], tuple[str, list[LeftOut]]] | None = None
    counts: bool = False
