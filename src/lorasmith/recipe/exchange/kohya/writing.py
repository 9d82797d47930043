"""A recipe as kohya's training TOML, and what kohya cannot say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomlkit

from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.project import EMBEDDED
from lorasmith.recipe.exchange.imported import LeftOut, value_of
from lorasmith.recipe.exchange.kohya.flows import MUSUBI, flow_module, takes_fp8
from lorasmith.recipe.exchange.kohya.network import kohya_words
from lorasmith.recipe.exchange.kohya.reading import ROWS
from lorasmith.recipe.recipe import Recipe, recipe_values

_UNKNOWN_THERE: tuple[tuple[str, Any], ...] = (
    # (key, what has no effect elsewhere)
    ("rank_by_timestep", 0),
    ("delta_norm", 0),
    ("average.kind", "none"),
    ("loss.p2_gamma", 0),
    ("loss.mask_outside", 0),
    ("loss.mask_renormalise", False),
    ("validation.share", 0),
    ("filter.only", []),
    ("filter.skip", []),
    ("blocks.lr", "flat"),
    ("blocks.rank", {}),
    ("blocks.alpha", {}),
    ("fit_memory", False),
    ("sample.prompts", []),
    ("strength.min", 1.0),
    ("strength.max", 1.0),
)


def to_kohya(recipe: Recipe, *, name: str, dataset_config: Path | None = None) -> tuple[str, list[LeftOut]]:
    """The text of a ``--config_file``, and what is left out. `dataset_config` is the file that names the images."""
    table: dict[str, Any] = {"pretrained_model_name_or_path": recipe.base, "output_name": name}
    if dataset_config is not None:
        table["dataset_config"] = str(dataset_config)
    else:
        table["resolution"] = ",".join(map(str, recipe.resolution))
    table |= {row.argument: value for row in ROWS if (value := row.write(recipe)) is not None}
    document = tomlkit.document()
    document.add(tomlkit.comment("For kohya's trainer: --config_file."))
    for key, value in table.items():
        document[key] = value
    return tomlkit.dumps(document), list(_left_out(recipe))


def _left_out(recipe: Recipe) -> Iterator[LeftOut]:
    values = recipe_values(recipe)
    for key, neutral in _UNKNOWN_THERE:
        if value_of(values, key) not in (neutral, None):
            yield LeftOut(key, value_of(values, key), "kohya has nothing of the kind")
    if recipe.timesteps.shift == "size" and recipe.timesteps.sampling != "sigmoid":
        yield LeftOut("timesteps.shift", "size", "kohya shifts by the picture's size with sigmoid alone")
    if recipe.preserve.kind in ("differential", "prior", "both"):
        yield LeftOut("preserve.kind", recipe.preserve.kind, "kohya has nothing of the kind")
    if recipe.family.objective == "flow":
        yield from _left_out_of_flows(recipe)
    if recipe.base == EMBEDDED:
        yield LeftOut("base", EMBEDDED, "the embedded base is ours alone: name another one in the file")
    if kohya_words(recipe) is None:
        yield LeftOut("algorithm", recipe.algorithm, "kohya has nothing of the kind; a LoRA stands in")
    if not OPTIMIZERS[recipe.optimizer.name].words.kohya:
        yield LeftOut("optimizer.name", recipe.optimizer.name, "kohya has no such optimizer; AdamW stands in")
    if not SCHEDULES[recipe.schedule.name].words.kohya:
        yield LeftOut("schedule.name", recipe.schedule.name, "kohya has no such schedule; cosine stands in")
    if recipe.epochs is not None and recipe.target_steps is not None:
        yield LeftOut("epochs", recipe.epochs, "kohya takes steps or epochs; the steps are written")
    if recipe.save_every.unit == "minutes":
        yield LeftOut("save_every", str(recipe.save_every), "kohya saves by epochs or steps")
    if recipe.weights not in ("full", "fp8"):
        yield LeftOut("weights", recipe.weights, "kohya keeps a base in fp8 or in full")
    if recipe.weights == "fp8" and not takes_fp8(recipe.family):
        yield LeftOut("weights", "fp8", f"kohya's trainer keeps {recipe.family.title} whole")
    if recipe.prediction not in ("auto", "v_prediction"):
        yield LeftOut("prediction", recipe.prediction, "kohya takes it for granted unless an argument says otherwise")


def _left_out_of_flows(recipe: Recipe) -> Iterator[LeftOut]:
    module, title = flow_module(recipe.family), recipe.family.title
    if module is None or module in MUSUBI:
        written = "" if module is None else "; what is written are musubi-tuner's words"
        yield LeftOut("base", recipe.base, f"sd-scripts trains no {title}{written}")
    if recipe.lr.text_encoder:
        yield LeftOut("lr.text_encoder", recipe.lr.text_encoder, f"kohya keeps the text encoder of {title} frozen")
