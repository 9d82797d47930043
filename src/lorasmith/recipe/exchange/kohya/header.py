"""An adapter's header as kohya's trainer writes it: a recipe read from its `ss_*` facts, and written as them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from lorasmith.errors import RecipeError
from lorasmith.recipe.exchange.imported import Imported
from lorasmith.recipe.exchange.kohya.front_end import flatten
from lorasmith.recipe.exchange.kohya.pairs import literal
from lorasmith.recipe.exchange.kohya.reading import ROWS, from_arguments
from lorasmith.recipe.exchange.kohya.terms import FURTHER, TERMS
from lorasmith.recipe.exchange.kohya.times import TIMES
from lorasmith.recipe.recipe import Recipe

_READ = (
    "learning_rate", "unet_lr", "text_encoder_lr", "lr_scheduler", "network_module", "network_alpha", "network_args",
    "resolution", "seed", *(row.argument for row in TIMES),
)  # fmt: skip
"""Facts that are read besides those of the terms, by their arguments."""
_CONVOLUTION = re.compile(r"_(conv[12]?|op|in_layers_2|out_layers_3)\.")


def recipe_facts(recipe: Recipe) -> dict[str, Any]:
    """The `ss_*` facts that the recipe decides by itself."""
    return {row.fact: row.to_header(recipe) for row in (*ROWS, *FURTHER) if row.to_header is not None}


def from_header(metadata: Mapping[str, str], where: object, keys: Collection[str] = ()) -> Imported:
    """The recipe that an adapter's `ss_*` header holds; `keys` of its tensors show whether convolutions are adapted.

    Raises RecipeError when it holds none.
    """
    if "ss_network_dim" not in metadata or not ({"ss_unet_lr", "ss_learning_rate"} & metadata.keys()):
        raise RecipeError(
            "its header tells no recipe: it was made without metadata, or by another kind of tool.", where=where
        )
    facts = {key: _plain(value) for key, value in metadata.items()}
    arguments = {term.argument: facts[term.fact] for term in TERMS if facts.get(term.fact) is not None}
    arguments |= {name: facts[f"ss_{name}"] for name in _READ if facts.get(f"ss_{name}") is not None}
    arguments |= _from_datasets(facts.get("ss_datasets"))
    if isinstance(facts.get("ss_network_dim"), str):
        arguments.pop("network_dim", None)
    if keys and not any(_CONVOLUTION.search(key) for key in keys):
        network = arguments.get("network_args")
        arguments["network_args"] = {**(network if isinstance(network, Mapping) else {}), "conv_dim": 0}
    optimizer = str(metadata.get("ss_optimizer", "AdamW"))
    name, _, rest = optimizer.partition("(")
    arguments["optimizer_type"] = name.rpartition(".")[2]
    arguments["optimizer_args"] = rest.removesuffix(")")
    if facts.get("ss_text_encoder_lr") is None:
        arguments["text_encoder_lr"] = arguments.get("learning_rate", 0.0)
    steps, epochs = facts.get("ss_max_train_steps"), facts.get("ss_num_epochs")
    if steps is not None:
        arguments["max_train_steps"] = steps
    elif epochs is not None:
        arguments["max_train_epochs"] = epochs
    result = from_arguments(arguments, "an adapter's header")
    base = metadata.get("ss_sd_model_name")
    if base:
        result.notes.append(f"it was trained on {base} ({metadata.get('ss_base_model_version', 'unknown version')}).")
    if epochs is not None and steps is not None:
        result.notes.append(f"its {steps} steps were {epochs} epochs of {facts.get('ss_num_train_images')} images.")
    return result


def _from_datasets(datasets: Any) -> dict[str, Any]:
    """What `ss_datasets` says instead of the flat facts, of the first dataset and its first subset."""
    if not isinstance(datasets, list) or not datasets or not isinstance(datasets[0], Mapping):
        return {}
    found = flatten({"dataset": datasets[0]})
    known = {term.argument for term in TERMS} | {"resolution"}
    renamed = {"train_batch_size" if key == "batch_size_per_device" else key: value for key, value in found.items()}
    return {key: value for key, value in renamed.items() if key in known and value is not None}


def _plain(text: str) -> Any:
    """A header's text as a value: JSON, Python's words, or the text; None for what says nothing."""
    if text in ("None", "", "null"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return literal(text)
