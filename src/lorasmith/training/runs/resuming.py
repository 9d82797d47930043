"""Runs that can be gone on with: which one was started last, and by which recipes it goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lorasmith.bases.detection import locate_base
from lorasmith.errors import RecipeError
from lorasmith.project import Project, safe_name
from lorasmith.recipe.overrides import nest_overrides
from lorasmith.recipe.recipe import differing_keys, read_recipe, recipe_values
from lorasmith.recipe.sweep import Variant
from lorasmith.schema import read_table
from lorasmith.training.runs.folder import RECIPE_FILE
from lorasmith.training.runs.run_set import SWEEP_FILE, RunSet, place_runs


def find_runs(project: Project, path: Path | None = None, *, sweep: bool | None = None) -> RunSet | None:
    """The run or sweep in the folder `path`; without it the one that was started last in the project. None when there
    is none. `sweep`: only a sweep, or only a run by itself."""
    marks = [mark for mark, kind in ((RECIPE_FILE, False), (SWEEP_FILE, True)) if sweep in (None, kind)]
    if path is None:
        files = [file for mark in marks for file in project.runs.glob(f"*/{mark}")]
    else:
        files = [path / mark for mark in marks if (path / mark).is_file()]
    # The mark is written once, when a run is started.
    for file in sorted(files, key=lambda file: (file.stat().st_mtime_ns, file.parent.name), reverse=True):
        names = [""] if file.name == RECIPE_FILE else _variant_names(file)
        if names:
            return place_runs(project, names, file.parent)
    return None


def own_variants(project: Project, runs: RunSet, given: Mapping[str, str] | None = None) -> list[Variant]:
    """The recipes that the runs were started with. Raises RecipeError when a value that is `given` (a dotted key, as
    TOML) is another than theirs."""
    variants = []
    for name, run in runs.runs.items():
        recipe = run.recipe()
        if given:
            values = _merge(recipe_values(recipe), nest_overrides(given))
            if isinstance(values.get("base"), str):
                values["base"] = locate_base(values["base"], project.root)
            run.check_recipe(read_table(type(recipe), values, where=str(run.path), error=RecipeError))
        variants.append(Variant(name, recipe))
    return variants


def changed_since(project: Project, variant: Variant, given: Mapping[str, str] | None = None) -> list[str]:
    """In what the project's recipe is another by now: ``rank (8, now 16)``. Nothing where it cannot be read."""
    try:
        return differing_keys(variant.recipe, read_recipe(project, given))
    except RecipeError:
        return []


def _variant_names(file: Path) -> list[str]:
    try:
        return [safe_name(str(name)) for name in json.loads(file.read_text("utf-8"))["variants"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _merge(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values with those that are given in their places; no key drops out for another."""
    result = dict(values)
    for key, value in given.items():
        old = result.get(key)
        result[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
