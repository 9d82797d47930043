"""Drawing with adapters: pipelines by base, and adapters by file, run or project."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lorasmith.errors import UsageError
from lorasmith.project import EMBEDDED, FILE_NAME, open_project
from lorasmith.remedies import Action, Do

if TYPE_CHECKING:
    from lorasmith.bases.precision import Precision, Weights
    from lorasmith.generation.pipeline import Pipeline


def open_pipelines(
    adapters: Sequence[Path], precision: Precision = "auto", weights: Weights = "full"
) -> Callable[[str], Pipeline]:
    """Pipelines with these adapters by base. The last one is kept; it goes before another base is loaded, so that two
    bases need not fit into memory together."""
    from lorasmith.adapters.cache import AdapterCache
    from lorasmith.bases.base import open_base
    from lorasmith.generation.pipeline import Pipeline

    source = AdapterCache(list(adapters))
    kept: dict[str, Pipeline] = {}

    def open_one(base: str) -> Pipeline:
        if base not in kept:
            kept.clear()
            gc.collect()
            kept[base] = Pipeline(open_base(base, precision, weights=weights), source)
        return kept[base]

    return open_one


def find_adapters(given: Path) -> list[Path]:
    """An adapter file itself; a run's adapters in the order of training, the final one last; a project's newest.

    Raises UsageError where there is none.
    """
    from lorasmith.adapters.runs import newest_adapters, run_adapters

    if given.is_file():
        return [given]
    if not given.is_dir():
        raise UsageError("no such file or folder.", where=given)
    found = newest_adapters(given / "runs") or run_adapters(given)
    if found:
        return found
    raise UsageError(
        "holds no adapter (.safetensors).",
        where=given,
        hint="Train one first:",
        remedy=Do(Action.TRAIN, project="PROJECT"),
    )


def base_of(adapter: Path) -> str:
    """The base that the project around an adapter file trains on; the embedded one when there is no project."""
    from lorasmith.recipe.recipe import read_recipe

    for folder in adapter.resolve().parents:
        if (folder / FILE_NAME).is_file():
            return read_recipe(open_project(folder)).base
    return EMBEDDED
