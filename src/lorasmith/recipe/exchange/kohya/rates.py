"""kohya's words for how fast is learnt: rates, optimizer, learning-rate schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.recipe.exchange.imported import Imported, flag, number
from lorasmith.recipe.exchange.kohya.pairs import read_pairs
from lorasmith.recipe.exchange.kohya.rows import Row
from lorasmith.recipe.exchange.names import (
    find_optimizer,
    find_schedule,
    read_optimizer_arguments,
    write_optimizer_arguments,
)
from lorasmith.recipe.recipe import Recipe

DEFAULT_RATE = 2e-6


def read_rates(given: Mapping[str, Any], result: Imported) -> None:
    """Learning rates of the parts."""
    shared = given.get("learning_rate", DEFAULT_RATE)
    result.take("lr.unet", "unet_lr", given.get("unet_lr", shared), number)
    texts = given.get("text_encoder_lr", shared)
    texts = texts if isinstance(texts, list | tuple) else [texts]
    if texts:
        result.take("lr.text_encoder", "text_encoder_lr", texts[0], number)
    if len(texts) > 1 and texts[1] != texts[0]:
        result.take("lr.text_encoder_2", "text_encoder_lr", texts[1], number)
    if flag(given.get("network_train_unet_only", False)):
        result.put("lr.text_encoder", 0.0)
        result.values["lr"].pop("text_encoder_2", None)
    if flag(given.get("network_train_text_encoder_only", False)):
        result.put("lr.unet", 0.0)


def read_optimizer(given: Mapping[str, Any], result: Imported) -> None:
    """The optimizer and its arguments."""
    name = str(given.get("optimizer_type", "AdamW8bit" if given.get("use_8bit_adam") else "AdamW"))
    known = find_optimizer(name)
    if known is None:
        result.drop("optimizer_type", name, "this optimizer is not there; AdamW stands in")
    result.put("optimizer.name", known or "adamw")
    arguments = read_pairs(given.get("optimizer_args"))
    read_optimizer_arguments(known or "adamw", arguments, result)
    for key, value in arguments.items():
        result.drop(f"optimizer_args: {key}", value, "has no counterpart here")


def read_schedule(given: Mapping[str, Any], result: Imported) -> None:
    """The learning-rate schedule."""
    name = str(given.get("lr_scheduler", "constant"))
    if name.startswith("adafactor"):
        name = "constant"
    known = find_schedule(name)
    if known is None:
        result.drop("lr_scheduler", name, "this learning-rate schedule is not there; cosine stands in")
    result.put("schedule.name", known or "cosine")
    if name == "constant":
        result.put("schedule.warmup", 0)
    if known == "polynomial":
        result.take("schedule.power", "lr_scheduler_power", given.get("lr_scheduler_power", 1), number)


def _write_text_rates(recipe: Recipe) -> float | list[float]:
    rates = recipe.lr
    return rates.text_encoder if rates.text_encoder_2 is None else [rates.text_encoder, rates.second]


def _write_optimizer_arguments(recipe: Recipe) -> list[str]:
    return write_optimizer_arguments(recipe) if OPTIMIZERS[recipe.optimizer.name].words.kohya else []


def _write_schedule(recipe: Recipe) -> str:
    words = SCHEDULES[recipe.schedule.name].words
    return (recipe.schedule.warmup and words.warming) or words.kohya or "cosine"


def _write_power(recipe: Recipe) -> Any:
    option = SCHEDULES[recipe.schedule.name].words.arguments.get("lr_scheduler_power")
    return None if option is None else getattr(recipe.schedule, option)


RATES = (
    Row("learning_rate", lambda _: None, lambda recipe: recipe.lr.unet),
    Row("unet_lr", lambda recipe: recipe.lr.unet, lambda recipe: recipe.lr.unet),
    Row("text_encoder_lr", _write_text_rates, lambda recipe: recipe.lr.text_encoder),
    Row("optimizer_type", lambda recipe: OPTIMIZERS[recipe.optimizer.name].words.kohya or "AdamW"),
    Row("optimizer_args", _write_optimizer_arguments),
    Row("lr_scheduler", _write_schedule, lambda recipe: recipe.schedule.name),
    Row("lr_scheduler_power", _write_power),
    Row("network_train_unet_only", lambda recipe: None if recipe.trains_text else True),
    Row("network_train_text_encoder_only", lambda recipe: None if recipe.lr.unet else True),
)
