"""Keys of lora.toml set and taken out, with its comments kept: checked as a whole before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import tomlkit

from lorasmith.errors import ProjectError
from lorasmith.project import Project, make_project
from lorasmith.recipe.presets import superseded
from lorasmith.recipe.recipe import read_recipe
from lorasmith.recipe.sweep import read_sweep
from lorasmith.storage.files import write_file


def edit_project(project: Project, settings: Mapping[str, object], unset: Iterable[str] = ()) -> Project:
    """The project with these values in its lora.toml, dotted from its tables, and without the keys that are `unset`.

    Of `recipe.epochs` and `recipe.target_steps` the one that is set alone takes the other out. Raises ProjectError,
    RecipeError for what the file cannot have; nothing is written then.
    """
    document = tomlkit.parse(project.file.read_text("utf-8"))
    for path in unset:
        _take_out(document, path)
    lengths = {path.removeprefix("recipe."): value for path, value in settings.items()}
    for key in superseded(lengths):
        _take_out(document, f"recipe.{key}")
    for path, value in settings.items():
        _set(document, path, value)
    changed = make_project(project.root, document.unwrap())
    read_recipe(changed)
    if any(path.startswith("sweep.") for path in settings):
        read_sweep(changed)
    write_file(changed.file, tomlkit.dumps(document))
    return changed


def _set(document: Any, path: str, value: object) -> None:
    """Set a dotted key. Raises ProjectError for one inside a value, or outside a table."""
    *tables, key = path.split(".")
    place = document
    for table in tables:
        if table not in place:
            place[table] = tomlkit.table()
        place = place[table]
        if not isinstance(place, MutableMapping):
            raise ProjectError(f"{table} is a value, not a table.", where=path)
    if place is document:
        raise ProjectError("stands outside a table.", where=path, hint="Write recipe.rank, lora.base ...")
    _put(place, key, value)


def _put(place: Any, key: str, value: object) -> None:
    """Set a key; of a table that is there only what is another, so that its comments stay."""
    there = place.get(key)
    if not (isinstance(value, Mapping) and isinstance(there, MutableMapping)):
        if there != value:
            place[key] = value
        return
    for name in [name for name in there if name not in value]:
        there.pop(name)
    for name, inner in value.items():
        _put(there, name, inner)


def _take_out(document: Any, path: str) -> None:
    """Take a dotted key out, and tables that it leaves empty below the first one; nothing where it is not set."""
    *tables, key = path.split(".")
    places = [document]
    for table in tables:
        inner = places[-1].get(table)
        if not isinstance(inner, MutableMapping):
            return
        places.append(inner)
    places[-1].pop(key, None)
    for depth in range(len(tables) - 1, 0, -1):
        if not places[depth + 1]:
            places[depth].pop(tables[depth])
