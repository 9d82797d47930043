"""What a run starts from: fresh factors, or the weights of an adapter file (R3)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lorasmith.adapters.adapter import Adapter, fit_adapter
from lorasmith.adapters.files import load_adapter
from lorasmith.adapters.layers.factors import LayerFactors, spoken
from lorasmith.bases.base import Base
from lorasmith.errors import RecipeError
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.trainer import fresh_adapter


def start_adapter(base: Base, settings: RunSettings, root: Path) -> Adapter:
    """The adapter that training starts from; `init` is looked for beside the project file in `root`.

    Layers that the file lacks start fresh. Raises RecipeError where the file is of another shape than the recipe's.
    """
    fresh = fresh_adapter(base, settings)
    init = settings.network.init
    if not init:
        return fresh
    file = root / Path(init).expanduser()
    if not file.is_file():
        raise RecipeError(f'init = "{init}": no such file.', hint="Give the path of an adapter file.")
    given = fit_adapter(load_adapter(file), base)
    foreign = sorted(given.layers.keys() - fresh.layers.keys())
    if foreign:
        raise RecipeError(
            f"init: {len(foreign)} of its layers are not trained by this recipe, such as {foreign[0]}.",
            where=file,
            hint="Set layers, conv.rank and lr.text_encoder as they were for that file.",
        )
    taken = {name: _take(name, fresh.layers[name], factors, file) for name, factors in given.layers.items()}
    return replace(fresh, layers={**fresh.layers, **taken})


def _take(name: str, fresh: LayerFactors, given: LayerFactors, file: Path) -> LayerFactors:
    mine, theirs = fresh.trained(), given.trained()
    if mine.keys() != theirs.keys():
        raise RecipeError(
            f"init: {name} is {given.algorithm} there, this recipe trains {fresh.algorithm}.",
            where=file,
            hint="Set algorithm (its options, dora and conv.tucker) as they were for that file.",
        )
    for field, tensor in mine.items():
        if tensor.shape != theirs[field].shape:
            raise RecipeError(
                f"init: {name} has {field} {spoken(theirs[field].shape)} there, {spoken(tensor.shape)} here.",
                where=file,
                hint=f"It was trained with rank = {given.rank}.",
            )
    if fresh.alpha != given.alpha and fresh.alpha is not None and abs(fresh.alpha - (given.alpha or 0)) > 1e-3:
        raise RecipeError(
            f"init: {name} has alpha {given.alpha:g} there, {fresh.alpha:g} here.",
            where=file,
            hint="Set the same alpha.",
        )
    return fresh.with_trained({field: theirs[field].float().reshape(mine[field].shape) for field in mine})
