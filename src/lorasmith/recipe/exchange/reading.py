"""A file that holds a recipe, recognised by its contents: another trainer's JSON, TOML or YAML, an adapter's header."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from lorasmith.container import read_container
from lorasmith.errors import RecipeError
from lorasmith.project import Project
from lorasmith.recipe.exchange import OTHER_TRAINERS
from lorasmith.recipe.exchange.imported import Imported
from lorasmith.recipe.exchange.kohya.header import from_header
from lorasmith.recipe.exchange.settings import checked_size
from lorasmith.recipe.presets import superseded
from lorasmith.recipe.recipe import Recipe, read_recipe
from lorasmith.storage.files import write_file

MAX_BYTES = 10_000_000
_YAML = re.compile(r"^\s*[\w-]+:(\s|$)", re.MULTILINE)
"""A line that only YAML has."""


def read_file(path: Path, called: str = "") -> Imported:
    """The recipe that a file holds, which messages call `called` where it is a passing one. Raises RecipeError when it
    is none that is known, or has senseless values."""
    if path.suffix.lower() == ".safetensors":
        header = read_container(path, RecipeError, "an adapter")
        where = called or path
        return _checked(where, lambda: from_header(header.metadata, where, header.tensors))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError(f"{path.stat().st_size:,} bytes: too large for a recipe.", where=path)
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise RecipeError("is no text, and no recipe.", where=path, hint=_known()) from None
    except OSError as fault:
        raise RecipeError(f"cannot be read: {fault}.", where=path) from None
    document = _parse(text, path)
    for trainer in OTHER_TRAINERS.values():
        if trainer.read is not None and trainer.recognises is not None and trainer.recognises(document):
            read = partial(trainer.read, document)
            return _checked(path, read)
    raise RecipeError("is no recipe that is known.", where=path, hint=_known())


def _known() -> str:
    known = ", ".join(trainer.files for trainer in OTHER_TRAINERS.values() if trainer.read is not None)
    return f"Known: {known}, an adapter file (.safetensors)."


def into_project(imported: Imported, project: Project) -> Recipe:
    """Write the values into `[recipe]` of lora.toml, with its comments kept; other keys stay as they are.

    Nothing is written when the result is no valid recipe: RecipeError lists every fault.
    """
    document = tomlkit.parse(project.file.read_text("utf-8"))
    recipe = document.get("recipe")
    if recipe is None:
        recipe = document["recipe"] = tomlkit.table()
    for key in superseded(imported.values):
        recipe.pop(key, None)
    _overlay(recipe, imported.values)
    tables = document.unwrap()
    read = read_recipe(replace(project, tables=tables))
    write_file(project.file, tomlkit.dumps(document))
    return read


def _overlay(table: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping):
            inner = table.get(key)
            if not isinstance(inner, Mapping):
                inner = table[key] = tomlkit.table()
            _overlay(table[key], value)
        else:
            table[key] = value


def _parse(text: str, path: Path) -> Mapping[str, Any]:
    """JSON where it begins as such, else TOML, else YAML without tags."""
    try:
        if text.lstrip().startswith("{"):
            document = json.loads(text)
        else:
            document = _parse_lines(text)
        if isinstance(document, Mapping):
            return checked_size(document)
    except (ValueError, RecursionError, TOMLKitError) as fault:
        raise RecipeError(f"is neither JSON nor TOML nor YAML: {fault}.", where=path) from None
    raise RecipeError("is no table of settings.", where=path)


def _parse_lines(text: str) -> Any:
    """TOML, or YAML. Raises ValueError with what is wrong in the one that it is."""
    try:
        return tomlkit.parse(text).unwrap()
    except TOMLKitError as fault:
        wrong: Exception = fault
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        told = fault if _YAML.search(text) else wrong
        raise ValueError(" ".join(str(told).split())) from None
    if not isinstance(document, Mapping):
        raise ValueError(str(wrong))
    return document


def _checked(path: Path | str, read: Any) -> Imported:
    try:
        found: Imported = read()
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as fault:
        raise RecipeError(f"holds a value that makes no sense: {fault or type(fault).__name__}.", where=path) from None
    return found
