"""The recipe: every setting of a training run, typed, with ranges. Unknown keys are refused (style habit 4).

A recipe is the preset of (kind of subject, family of the base), overlaid with `[recipe]` of lora.toml, overlaid
by what is set for one run. It is frozen; stages unpack what they need and know nothing of it otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import tomlkit
from pydantic import model_validator

from lorasmith.bases.detection import locate_base, preset_family
from lorasmith.bases.families import UNKNOWN
from lorasmith.bases.families.family import Family
from lorasmith.errors import RecipeError
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.project import Project
from lorasmith.recipe.chosen import read_former_keys, widen
from lorasmith.recipe.fields import RecipeFields
from lorasmith.recipe.helper import count_numbers
from lorasmith.recipe.overrides import flatten_table, nest_overrides
from lorasmith.recipe.prediction import check_prediction
from lorasmith.recipe.presets import overlay, preset
from lorasmith.recipe.rules import find_faults
from lorasmith.remedies import Give
from lorasmith.schema import read_table


class Recipe(RecipeFields):
    """[recipe]: all settings of one run. Lengths: see `lorasmith.recipe.steps.solve_length` for who wins.

    A recipe is of a class that also has the options of everything that is registered: see `widen`.
    """

    def __new__(cls, *_: object, **__: object) -> Self:
        return super().__new__(widen(cls))

    @classmethod
    def model_validate(cls, obj: Any, **how: Any) -> Self:
        return super(Recipe, widen(cls)).model_validate(obj, **how)

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, values: Any) -> Any:
        return read_former_keys(values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if faults := find_faults(self):
            raise ValueError(" ".join(faults))
        return self


def read_recipe(project: Project, overrides: Mapping[str, str] | None = None) -> Recipe:
    """The project's resolved recipe. Raises RecipeError listing every fault.

    `overrides` are key and value pairs relative to `[recipe]`, values as TOML.
    """
    given = overlay(dict(project.table("recipe")), nest_overrides(overrides or {}))
    base = given.get("base", project.lora.base)
    base = locate_base(base, project.root) if isinstance(base, str) else base
    family = preset_family(base) if isinstance(base, str) else UNKNOWN
    start = preset(project.lora.subject, family)
    chosen = given.get("optimizer")
    name = chosen.get("name") if isinstance(chosen, Mapping) else None
    if isinstance(name, str) and name in OPTIMIZERS and name != start["optimizer"]["name"]:
        start = overlay(start, OPTIMIZERS[name].preset)
    if times := _times_like(given.get("timesteps"), family):
        start = overlay(start, {"timesteps": times})
    values = overlay(_within_bounds(start, given), given) | {"base": base}
    where = project.where("recipe") + (f" with {Give('set')}" if overrides else "")
    recipe = read_table(widen(Recipe), values, where=where, error=RecipeError)
    if recipe.family.objective == "flow":
        check_prediction(recipe, "flow", recipe.base, where=where)
    recipe.__dict__["helper_numbers"] = count_numbers(recipe.training_adapter, project.root)
    return recipe


def _times_like(given: object, family: Family) -> Mapping[str, Any]:
    """The times of the trainer that `timesteps.like` names. Raises RecipeError for one that is not known for the
    family."""
    like = given.get("like") if isinstance(given, Mapping) else None
    if not isinstance(like, str) or not like:
        return {}
    if like not in family.times:
        known = f"Known: {', '.join(family.times)}." if family.times else "It is for bases that learn a flow."
        raise RecipeError(
            f'timesteps.like = "{like}": no trainer whose times for {family.title} are known.',
            hint=known,
            field="timesteps.like",
        )
    return family.times[like].values


def _within_bounds(start: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The preset without bounds of buckets that the resolution which is given would break: they then follow from it."""
    sides = given.get("resolution")
    sides = [sides] if isinstance(sides, int) else sides
    bounds = start.get("bucket")
    if not isinstance(bounds, Mapping) or not isinstance(sides, list) or not all(isinstance(s, int) for s in sides):
        return start
    broken = {"max"} if bounds.get("max", max(sides)) < max(sides) else set[str]()
    broken |= {"min"} if bounds.get("min", min(sides)) > min(sides) else set()
    return {**start, "bucket": {key: value for key, value in bounds.items() if key not in broken}}


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain TOML values, without the ones that are not set."""
    return _without_none(recipe.model_dump(mode="json"))


def write_recipe(recipe: Recipe) -> str:
    """The recipe as TOML text; `parse_recipe` gives an equal one."""
    return tomlkit.dumps(recipe_values(recipe))


def parse_recipe(text: str, *, where: str) -> Recipe:
    """The recipe that `write_recipe` wrote. Raises RecipeError."""
    try:
        values = tomlkit.parse(text).unwrap()
    except tomlkit.exceptions.TOMLKitError as fault:
        raise RecipeError(f"not valid TOML: {str(fault).rstrip('.')}.", where=where) from None
    return read_table(widen(Recipe), values, where=where, error=RecipeError)


def differing_keys(one: Recipe, other: Recipe) -> list[str]:
    """The dotted keys in which two recipes differ, with both values: ``rank (8, now 16)``."""
    flat_one, flat_other = flatten_table(recipe_values(one)), flatten_table(recipe_values(other))
    keys = sorted(flat_one.keys() | flat_other.keys())
    return [
        f"{key} ({flat_one.get(key)!r}, now {flat_other.get(key)!r})"
        for key in keys
        if flat_one.get(key) != flat_other.get(key)
    ]


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in table.items() if value is not None}
    return {key: _without_none(value) if isinstance(value, dict) else value for key, value in kept.items()}
