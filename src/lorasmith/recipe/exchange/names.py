"""Other trainers' names of what is chosen by name, read and written by what the entries of the registries say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.bases.families import FAMILIES
from lorasmith.bases.families.family import Family
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.recipe.chosen import trainable_algorithms
from lorasmith.recipe.exchange.imported import Imported, flag, number, text, whole
from lorasmith.recipe.recipe import Recipe
from lorasmith.schema import TableModel

LYCORIS = "lycoris.kohya"
"""LyCORIS's network module, which makes whatever its `algo` says."""


def find_family(trainer: str, word: str) -> Family | None:
    """The family of bases that a trainer's recipes call so; None where it is not known here."""
    return next((each for each in FAMILIES.values() if word in each.trainer_words.get(trainer, ())), None)


def family_word(trainer: str, family: Family) -> str | None:
    """What a trainer's recipes call bases of a family; None where it has no word for them."""
    return next(iter(family.trainer_words.get(trainer, ())), None)


def find_optimizer(word: str) -> str | None:
    """Our name of an `optimizer_type`, with or without the module in front; None where it is not there."""
    words = {
        known.lower(): name
        for name, entry in OPTIMIZERS.items()
        for known in (entry.words.kohya, entry.words.hub, *entry.words.also)
        if known
    }
    return words.get(word.lower()) or words.get(word.lower().rpartition(".")[2])


def find_schedule(word: str) -> str | None:
    """Our name of an `lr_scheduler`; None where it is not there."""
    words = {
        known: name
        for name, entry in SCHEDULES.items()
        for known in (entry.words.kohya, entry.words.hub, *entry.words.also)
        if known
    }
    return words.get(word)


def find_algorithm(word: str) -> str | None:
    """Our name of a LyCORIS `algo` that recipes may name; None where it is not there."""
    words = {
        known: name
        for name in trainable_algorithms()
        for known in (ALGORITHMS[name].kohya.algo, *ALGORITHMS[name].kohya.algos)
        if known and not ALGORITHMS[name].on_norms
    }
    return words.get(word.lower())


def find_module(word: str) -> str | None:
    """Our name of the algorithm that a `network_module` makes where no `algo` is given; None where it is not there."""
    words = {
        known: name
        for name, entry in ALGORITHMS.items()
        for known in (entry.kohya.module, *entry.kohya.modules)
        if known
    }
    return words.get(word)


def own_arguments() -> list[tuple[str, str, Any]]:
    """The network arguments that are options of an algorithm: with our key, and what reads the value."""
    return [
        (argument, f"{name}.{option}", reader_of(entry.options, option))
        for name, entry in ALGORITHMS.items()
        for argument, option in entry.kohya.arguments.items()
    ]


def read_optimizer_arguments(name: str, arguments: dict[str, Any], result: Imported) -> None:
    """Take `optimizer_args` over as options; what changes nothing is passed over, the rest is left in `arguments`."""
    entry = OPTIMIZERS[name]
    for argument, option in entry.words.arguments.items():
        if argument in arguments or argument in entry.words.defaults:
            value = arguments.pop(argument, entry.words.defaults.get(argument))
            result.take(f"optimizer.{option}", argument, value, reader_of(entry.options, option))
    for each in OPTIMIZERS.values():
        for argument in each.words.unused:
            arguments.pop(argument, None)


def write_optimizer_arguments(recipe: Recipe) -> list[str]:
    """The options of the recipe's optimizer as `optimizer_args`."""
    words, options = OPTIMIZERS[recipe.optimizer.name].words, recipe.optimizer.options
    written = []
    for argument, option in words.arguments.items():
        value, default = getattr(options, option), type(options).model_fields[option].default
        if argument not in words.unused and (value != default or argument in (*words.defaults, "weight_decay")):
            written.append(f"{argument}={_spell(value)}")
    return written + [f"{argument}={value}" for argument, value in words.beside(options).items()]


def reader_of(table: type[TableModel], option: str) -> Any:
    """What reads another trainer's value for an option, by the kind of value that it holds."""
    kind = table.model_fields[option].annotation
    kinds = get_args(kind) if get_origin(kind) in (Union, type(int | None)) else (kind,)
    if any(get_origin(each) is tuple for each in kinds):
        return _read_numbers
    readers: Mapping[object, Any] = {bool: flag, int: whole, float: number, str: text}
    return next((readers[each] for each in kinds if each in readers), text)


def _read_numbers(value: Any) -> list[float]:
    if isinstance(value, str):
        value = value.strip("()[] ").replace(",", " ").split()
    return [number(each) for each in value]


def _spell(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(map(_spell, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
