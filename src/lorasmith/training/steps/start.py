"""What a run starts from: fresh factors, or the weights of an adapter file (R3)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.files import load_adapter
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.layers.factors import LayerFactors, spoken
from lorasmith.adapters.surgery.merging import OPERATION
from lorasmith.bases.base import Base
from lorasmith.bases.hub import fetch_base
from lorasmith.errors import AdapterError, RecipeError
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.trainer import fresh_adapter


def start_adapter(base: Base, settings: RunSettings, root: Path) -> Adapter:
    """The adapter that training starts from; `init` is looked for beside the project file in `root`.

    Layers that the file lacks start fresh. A file that was cut to ranks of its own keeps them, layer by layer. Raises
    RecipeError where any other file is of another shape than the recipe's.
    """
    fresh = fresh_adapter(base, settings)
    init = settings.network.init
    if not init:
        return fresh
    file = root / Path(init).expanduser()
    if not file.is_file():
        raise RecipeError(f'init = "{init}": no such file.', hint="Give the path of an adapter file.")
    try:
        given = fit_adapter(load_adapter(file), base)
    except AdapterError as fault:  # what could be left out of it elsewhere is wanted here
        raise AdapterError(f"init: {fault.message}", where=file, hint=fault.own_hint) from None
    foreign = sorted(given.layers.keys() - fresh.layers.keys())
    if foreign:
        raise RecipeError(
            f"init: {len(foreign)} of its layers are not trained by this recipe, such as {foreign[0]}.",
            where=file,
            hint="Set layers, conv.rank and lr.text_encoder as they were for that file.",
        )
    own_ranks = has_own_ranks(given)
    taken = {name: _take(name, fresh.layers[name], factors, file, own_ranks) for name, factors in given.layers.items()}
    return replace(fresh, layers={**fresh.layers, **taken})


def read_training_adapter(base: Base, name: str, root: Path) -> Adapter | None:
    """The adapter that acts on the base while it is trained on; "" for none. `name` is a file's, beside the project
    file in `root`, or its address on the hub. Raises AdapterError, and BaseError where it cannot be fetched."""
    if not name:
        return None
    file = root / Path(name).expanduser()
    if not file.is_file():
        file = fetch_base(name)
    try:
        return fit_adapter(load_adapter(file), base)
    except AdapterError as fault:
        raise AdapterError(f"training_adapter: {fault.message}", where=file, hint=fault.own_hint) from None


def has_own_ranks(adapter: Adapter) -> bool:
    """Whether a file's ranks are not those of a recipe: it was resized, merged or extracted, by us or by kohya's tools
    ("Dynamic", `resize_lora.py`), or its layers have several."""
    if OPERATION in adapter.metadata or adapter.metadata.get("ss_network_dim") == "Dynamic":
        return True
    ranks = {
        factors.rank for factors in adapter.layers.values() if type(factors) is LoraFactors and factors.down.ndim == 2
    }
    return len(ranks) > 1


def _take(name: str, fresh: LayerFactors, given: LayerFactors, file: Path, own_ranks: bool) -> LayerFactors:
    if own_ranks and isinstance(fresh, LoraFactors) and isinstance(given, LoraFactors):
        given = given.shaped_like(fresh.down)
        return replace(fresh, down=given.down.float(), up=given.up.float(), alpha=given.alpha)
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
