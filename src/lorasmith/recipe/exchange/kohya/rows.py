"""What a row of kohya's table is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lorasmith.recipe.recipe import Recipe


@dataclass(frozen=True)
class Row:
    """One of kohya's arguments: what an export writes for a recipe (None: nothing), and what our headers say.

    `header` is its name in a header, where that is not ss_<argument>; without `to_header` our headers are silent.
    """

    argument: str
    write: Callable[[Recipe], Any]
    to_header: Callable[[Recipe], Any] | None = None
    header: str = ""

    @property
    def fact(self) -> str:
        return self.header or f"ss_{self.argument}"


@dataclass(frozen=True, kw_only=True)
class Term(Row):
    """An argument that has one key: how its value is read, and what kohya does where it is not given."""

    path: str
    read: Callable[[Any], Any]
    default: Any


def stated(recipe: Recipe, path: str) -> Any:
    """The value of a dotted key; bucket sizes as they come out."""
    if path in ("bucket.min", "bucket.max"):
        rules = recipe.bucket_rules
        return rules.smallest if path == "bucket.min" else rules.largest
    value: Any = recipe
    for name in path.split("."):
        value = getattr(value, name)
    return value
