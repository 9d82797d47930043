"""Every key of `[recipe]` with its default and its meaning, for whoever shows them to people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.recipe.chosen import SWITCHES, trainable_algorithms, widen
from lorasmith.recipe.recipe import Recipe
from lorasmith.registry import Registry
from lorasmith.schema import TableModel


@dataclass(frozen=True)
class RecipeKey:
    """A dotted key; `meaning` says also for what it is, where that is not everything."""

    path: str
    default: object
    meaning: str


def recipe_keys() -> list[RecipeKey]:
    """All keys that a recipe has now; the algorithms' own behind `algorithm`."""
    keys = [RecipeKey(path, default, _meaning(path, text)) for path, default, text in _fields(widen(Recipe), "")]
    own = [key for key in keys if key.path.partition(".")[0] in ALGORITHMS and "." in key.path]
    others = [key for key in keys if key not in own]
    place = 1 + [key.path for key in others].index("algorithm")
    return [*others[:place], *own, *others[place:]]


def _fields(table: type[TableModel], prefix: str) -> Iterator[tuple[str, object, str]]:
    for name, field in table.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, TableModel):
            yield from _fields(nested, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.get_default(call_default_factory=True), field.description or ""


def _meaning(path: str, text: str) -> str:
    table, _, key = path.partition(".")
    if path == "algorithm":
        return f"{text}: {', '.join(trainable_algorithms())}"
    if path == "optimizer.name":
        return f"{text}: {', '.join(_optimizers())}"
    if path == "schedule.name":
        return f"{text}: {', '.join(SCHEDULES)}"
    for switch in SWITCHES:
        if path == switch:
            return f"{text} ({', '.join(trainable_algorithms(switch))})"
    owners: dict[str, Registry[Any]] = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    return _owned(owners[table], key, text) if table in owners else text


def _optimizers() -> Iterator[str]:
    for name, entry in OPTIMIZERS.items():
        said = "; ".join(filter(None, (entry.about, f"extra [{entry.extra}]" if entry.package else "")))
        yield f"{name} ({said})" if said else name


def _owned(registry: Registry[Any], key: str, text: str) -> str:
    """What an option means, and for whom it is, where that is not everybody."""
    owners = [name for name, entry in registry.items() if key in entry.options.model_fields]
    if not owners or len(owners) == len(registry):
        return text
    if len(owners) < len(registry) / 2:
        return f"{', '.join(owners)} alone: {text}"
    return f"{text}; not for {', '.join(name for name in registry if name not in owners)}"
