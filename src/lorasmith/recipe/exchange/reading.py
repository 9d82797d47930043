"""Any file that holds a recipe, told by its contents: the hub's JSON, kohya's TOML or JSON, an adapter's header."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.container import read_container
from lorasmith.errors import RecipeError
from lorasmith.project import Project, write_file
from lorasmith.recipe.exchange.hub import from_hub, is_hub_recipe
from lorasmith.recipe.exchange.imported import Imported
from lorasmith.recipe.exchange.kohya import from_arguments, literal
from lorasmith.recipe.exchange.terms import TERMS
from lorasmith.recipe.presets import superseded
from lorasmith.recipe.recipe import Recipe, read_recipe

MAX_BYTES = 10_000_000
_FACTS = {
    # Facts of a header that are arguments by another name.
    "ss_learning_rate": "learning_rate",
    "ss_unet_lr": "unet_lr",
    "ss_text_encoder_lr": "text_encoder_lr",
    "ss_lr_scheduler": "lr_scheduler",
    "ss_network_module": "network_module",
    "ss_network_alpha": "network_alpha",
    "ss_network_args": "network_args",
    "ss_resolution": "resolution",
    "ss_seed": "seed",
}
_KOHYA_MARKS = frozenset(
    ("network_dim", "network_module", "unet_lr", "max_train_epochs", "max_train_steps", "optimizer_type")
)
_CONVOLUTION = re.compile(r"_(conv[12]?|op|in_layers_2|out_layers_3)\.")
_GUI_NAMES = {
    # kohya's graphical front end has names of its own.
    "epoch": "max_train_epochs",
    "LoRA_type": "lora_type",
    "optimizer": "optimizer_type",
    "max_resolution": "resolution",
}


def read_file(path: Path) -> Imported:
    """The recipe that a file holds. Raises RecipeError when it is none that is known, or has senseless values."""
    if path.suffix.lower() == ".safetensors":
        header = read_container(path, RecipeError, "an adapter")
        return _checked(path, lambda: from_header(header.metadata, path, header.tensors))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError(f"{path.stat().st_size:,} bytes: too large for a recipe.", where=path)
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise RecipeError(f"cannot be read: {fault}.", where=path) from None
    document = _parse(text, path)
    if is_hub_recipe(document):
        return _checked(path, lambda: from_hub(document))
    arguments = flatten(document)
    if not _KOHYA_MARKS & (arguments.keys() | {_GUI_NAMES.get(key, key) for key in arguments}):
        raise RecipeError(
            "is no recipe that is known.",
            where=path,
            hint="Known: the hub trainer's JSON, kohya's training TOML and JSON, an adapter file (.safetensors).",
        )
    return _checked(path, lambda: from_arguments(_from_gui(arguments), "kohya"))


def from_header(metadata: Mapping[str, str], where: object, keys: Collection[str] = ()) -> Imported:
    """The recipe that an adapter's `ss_*` header tells; `keys` of its tensors tell whether convolutions are adapted.

    Raises RecipeError when it tells none.
    """
    if "ss_network_dim" not in metadata or not ({"ss_unet_lr", "ss_learning_rate"} & metadata.keys()):
        raise RecipeError(
            "its header tells no recipe: it was made without metadata, or by another kind of tool.", where=where
        )
    facts = {key: _plain(value) for key, value in metadata.items()}
    arguments = {term.argument: facts[term.fact] for term in TERMS if facts.get(term.fact) is not None}
    arguments |= {_FACTS[key]: facts[key] for key in _FACTS if facts.get(key) is not None}
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


def flatten(document: Mapping[str, Any]) -> dict[str, Any]:
    """Sections dissolved, as sd-scripts reads its configuration: a section's name means nothing.

    Of several datasets and subsets the first one's settings are taken.
    """
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping) and key not in ("network_args", "optimizer_args"):
            flat |= flatten(value)
        elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
            flat |= {name: each for name, each in flatten(value[0]).items() if name not in flat}
        else:
            flat[key] = value
    if "batch_size" in flat:
        flat.setdefault("train_batch_size", flat.pop("batch_size"))
    for key in ("image_dir", "class_tokens", "is_reg", "metadata_file"):
        flat.pop(key, None)
    return flat


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
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else tomlkit.parse(text).unwrap()
    except (ValueError, RecursionError, TOMLKitError) as fault:
        raise RecipeError(f"is neither JSON nor TOML: {fault}.", where=path) from None
    if not isinstance(document, Mapping):
        raise RecipeError("is no table of settings.", where=path)
    return document


def _from_gui(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The graphical front end's names and forms as arguments; others pass through."""
    renamed = {_GUI_NAMES.get(key, key): value for key, value in arguments.items()}
    kind = str(renamed.pop("lora_type", "")).lower()
    extra: list[str] = []
    if kind:
        modules = {f"lycoris/{each.kohya.algo}": each.kohya.algo for each in ALGORITHMS.values() if each.trainable}
        if kind in modules:
            renamed["network_module"] = "lycoris.kohya"
            extra.append(f"algo={modules[kind]}")
        elif "dylora" in kind:
            renamed["network_module"] = ALGORITHMS["dylora"].kohya.module
        for key in ("conv_dim", "conv_alpha"):
            value = renamed.pop(key, None)
            if value and (kind in modules or "locon" in kind or "lierla" in kind):
                extra.append(f"{key}={value}")
        for zero in ("max_train_epochs", "max_train_steps", "save_every_n_steps", "save_every_n_epochs", "seed"):
            if renamed.get(zero) in (0, "", "0"):
                renamed.pop(zero, None)
        warmup = renamed.pop("lr_warmup", 0)
        if warmup:
            renamed.setdefault("lr_warmup_steps", float(warmup) / 100)
    if extra:
        given = renamed.get("network_args") or []
        renamed["network_args"] = [*(given.split() if isinstance(given, str) else given), *extra]
    return renamed


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


def _checked(path: Path, read: Any) -> Imported:
    try:
        found: Imported = read()
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as fault:
        raise RecipeError(f"holds a value that makes no sense: {fault or type(fault).__name__}.", where=path) from None
    return found
