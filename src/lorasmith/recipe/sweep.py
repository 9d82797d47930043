"""A sweep: one recipe with some of its values varied.

``[sweep]`` of lora.toml holds recipe keys with lists of values: ``rank = [4, 8]``, ``lr.unet = [1e-4, 5e-4]``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorasmith.errors import RecipeError
from lorasmith.project import Project, safe_name
from lorasmith.recipe.overrides import flatten_table, write_value
from lorasmith.recipe.recipe import Recipe, read_recipe
from lorasmith.remedies import Give

MOST_VARIANTS = 64
MODES = ("grid", "zip")
SHARED = (
    "base",
    "clip_skip",
    "caption.max_tokens",
    "caption.weighted",
    "checkpointing",
    "compile",
    "blocks_to_swap",
    "cache_text_encoder_outputs",
    "init",
    "training_adapter",
    "tensorboard",
)
"""Keys that belong to the pass, not to one of its adapters."""


@dataclass(frozen=True)
class Variant:
    """One member of a sweep: its name, which its file bears, and its recipe."""

    name: str
    recipe: Recipe


def read_sweep(project: Project, overrides: Mapping[str, str] | None = None) -> list[Variant]:
    """The variants of the project's [sweep]; none without that table. Raises RecipeError.

    ``mode = "grid"`` (the default) crosses all lists, "zip" takes their first values together, then their second.
    """
    table = dict(project.table("sweep"))
    if not table:
        return []
    where = project.where("sweep")
    mode = table.pop("mode", "grid")
    if mode not in MODES:
        raise RecipeError(f'mode = {mode!r}: write "grid" or "zip".', where=where)
    axes = flatten_table(table)
    if not axes:
        raise RecipeError("names no key to vary.", where=where, hint="For example: rank = [4, 8]")
    for key, values in axes.items():
        if not isinstance(values, list) or not values:
            raise RecipeError(f"{key} = {values!r}: give a list of values.", where=where, hint=f"{key} = [...]")
        if key in SHARED or any(key.startswith(f"{shared}.") for shared in SHARED):
            raise RecipeError(f"{key} cannot differ within a sweep.", where=where, hint="Set it in [recipe].")
        if key in (overrides or {}):
            raise RecipeError(f"{key} is varied by the sweep and set with {Give('set')}.", where=where)
    variants = [_variant(project, dict(choice), overrides or {}, where) for choice in _choices(axes, mode, where)]
    names = [variant.name for variant in variants]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RecipeError(f"{twice[0]} stands there twice.", where=where)
    return variants


def _choices(axes: Mapping[str, list[Any]], mode: str, where: str) -> list[tuple[tuple[str, Any], ...]]:
    if mode == "zip":
        lengths = {key: len(values) for key, values in axes.items()}
        if len(set(lengths.values())) > 1:
            text = ", ".join(f"{key} has {count}" for key, count in lengths.items())
            raise RecipeError(f'mode = "zip" needs lists of one length: {text}.', where=where)
        rows = list(zip(*axes.values(), strict=True))
    else:
        rows = list(itertools.islice(itertools.product(*axes.values()), MOST_VARIANTS + 1))
    if len(rows) > MOST_VARIANTS:
        raise RecipeError(f"more than {MOST_VARIANTS} variants.", where=where, hint="Vary fewer values at once.")
    return [tuple(zip(axes, row, strict=True)) for row in rows]


def _variant(project: Project, choice: Mapping[str, Any], overrides: Mapping[str, str], where: str) -> Variant:
    words = []
    for key, value in choice.items():
        short = key.rsplit(".", 1)[-1]
        unique = sum(other.rsplit(".", 1)[-1] == short for other in choice) == 1
        text = f"{value:g}" if isinstance(value, float) else str(value)
        words.append(text if isinstance(value, str) and value.isidentifier() else f"{short if unique else key}{text}")
    name = safe_name("-".join(words))
    try:
        recipe = read_recipe(project, {**overrides, **{key: write_value(value) for key, value in choice.items()}})
    except RecipeError as fault:
        raise RecipeError(fault.message, where=f"{where} {name}", hint=fault.hint) from None
    return Variant(name, recipe)
