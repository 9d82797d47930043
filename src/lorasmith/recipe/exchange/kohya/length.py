"""kohya's words for how long a run is, what it saves, what it is shown, and the base beneath it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lorasmith.recipe.exchange.imported import Imported, at_least_one, flag, number, sides, text, whole
from lorasmith.recipe.exchange.kohya.flows import takes_fp8
from lorasmith.recipe.exchange.kohya.rows import Row
from lorasmith.recipe.recipe import Recipe

DEFAULT_STEPS = 1600
_CACHED_TEXTS = ("cache_text_encoder_outputs", "cache_text_encoder_outputs_to_disk")
_CHANGING_TEXTS = ("lr.text_encoder", "lr.text_encoder_2", "caption.shuffle", "caption.tag_dropout")


def read_length(given: Mapping[str, Any], result: Imported) -> None:
    """Epochs or steps, snapshots, seed and resolution."""
    if "max_train_epochs" in given:
        result.take("epochs", "max_train_epochs", given["max_train_epochs"], whole)
    else:
        result.take("target_steps", "max_train_steps", given.get("max_train_steps", DEFAULT_STEPS), whole)
    for key, unit in (("save_every_n_epochs", "epochs"), ("save_every_n_steps", "steps")):
        if key in given:
            result.take("save_every", key, given[key], at_least_one)
            count = result.get("save_every")
            if isinstance(count, int):
                result.put("save_every", f"{count} {unit}")
    for key in ("save_last_n_epochs", "save_last_n_steps"):
        if key in given:
            result.take("keep_last", key, given[key], whole)
    if "seed" in given:
        result.take("seed", "seed", given["seed"], whole)
    result.take("resolution", "resolution", given.get("resolution", 512), sides)
    if "num_repeats" in given:
        result.notes.append(
            f"num_repeats = {given['num_repeats']}: repeats are set with the images (folders named 5_name), or solved "
            "for when epochs and target_steps are both given (R7)."
        )


def read_rest(given: Mapping[str, Any], result: Imported) -> None:
    """Class images, masks, and how the base is kept."""
    result.put("preserve.kind", "none")
    if "reg_data_dir" in given:
        result.put("preserve.kind", "images")
        result.take("preserve.folder", "reg_data_dir", given["reg_data_dir"], text)
        result.take("preserve.weight", "prior_loss_weight", given.get("prior_loss_weight", 1), number)
    if flag(given.get("masked_loss", False)) or flag(given.get("alpha_mask", False)):
        result.put("loss.mask", "alpha" if flag(given.get("alpha_mask", False)) else "files")
    if flag(given.get("fp8_base", False)):
        result.put("weights", "fp8")
    _read_cached_texts(given, result)
    _read_merged(given, result)
    if flag(given.get("v_parameterization", False)):
        result.put("prediction", "v_prediction")
    if given.get("v2"):
        result.notes.append("v2: the family of a base is read from the base itself.")


def _read_cached_texts(given: Mapping[str, Any], result: Imported) -> None:
    """Texts that are encoded before the first step. Where that is not asked for, memory alone decides here."""
    asked = next((key for key in _CACHED_TEXTS if flag(given.get(key, False))), None)
    if asked is None:
        return
    if any(result.get(key) for key in _CHANGING_TEXTS):
        result.drop(asked, True, "texts that change from step to step cannot be encoded before the first one")
    else:
        result.put("cache_text_encoder_outputs", True)


def _read_merged(given: Mapping[str, Any], result: Imported) -> None:
    """Adapters that act on the base while it is trained on."""
    files, strengths = (given.get(key) or [] for key in ("base_weights", "base_weights_multiplier"))
    files, strengths = (each if isinstance(each, list | tuple) else [each] for each in (files, strengths))
    if not files:
        return
    if len(files) > 1 or any(number(each) != 1 for each in strengths):
        result.drop("base_weights", given["base_weights"], "one training adapter acts at strength 1 here")
    else:
        result.take("training_adapter", "base_weights", files[0], text)


def _by_epochs(recipe: Recipe) -> bool:
    return recipe.epochs is not None and recipe.target_steps is None


def _saves_every(unit: str, count: Callable[[Recipe, int], int]) -> Callable[[Recipe], int | None]:
    def write(recipe: Recipe) -> int | None:
        every = recipe.save_every
        return count(recipe, int(every.amount)) or None if every.unit == unit else None

    return write


def _keeps(recipe: Recipe, every: int) -> int:
    return recipe.keep_last * every


def _of_class_images(value: Callable[[Recipe], Any]) -> Callable[[Recipe], Any]:
    return lambda recipe: value(recipe) if recipe.preserve.kind == "images" else None


LENGTH = (
    Row("seed", lambda recipe: recipe.seed, lambda recipe: recipe.seed),
    Row("save_model_as", lambda _: "safetensors"),
    Row("max_train_epochs", lambda recipe: recipe.epochs if _by_epochs(recipe) else None),
    Row("max_train_steps", lambda recipe: None if _by_epochs(recipe) else recipe.target_steps),
    Row("save_every_n_epochs", _saves_every("epochs", lambda _, every: every)),
    Row("save_last_n_epochs", _saves_every("epochs", _keeps)),
    Row("save_every_n_steps", _saves_every("steps", lambda _, every: every)),
    Row("save_last_n_steps", _saves_every("steps", _keeps)),
    Row("num_repeats", lambda _: None),
)
SHOWN = (
    Row("resolution", lambda _: None, lambda recipe: str(recipe.resolution)),
    Row("masked_loss", lambda recipe: True if recipe.loss.mask != "none" else None),
    Row("alpha_mask", lambda recipe: True if recipe.loss.mask == "alpha" else None),
    Row("reg_data_dir", _of_class_images(lambda recipe: recipe.preserve.folder)),
    Row(
        "prior_loss_weight", _of_class_images(lambda recipe: recipe.preserve.weight), lambda each: each.preserve.weight
    ),
)


def _write_precision(recipe: Recipe) -> str | None:
    if recipe.precision == "auto":
        return None
    return "no" if recipe.precision == "fp32" else recipe.precision


def _write_cached_texts(recipe: Recipe) -> bool | None:
    """Nothing beside what sd-scripts refuses with it, of any family, or leaves out then."""
    caption = recipe.caption
    kept = recipe.caches_text and not (caption.dropout or caption.dropout_every or caption.weighted)
    return True if kept else None


def _write_fp8_base(recipe: Recipe) -> bool | None:
    return True if recipe.weights == "fp8" and takes_fp8(recipe.family) else None


BASE = (
    Row("cache_text_encoder_outputs", _write_cached_texts),
    Row("base_weights", lambda recipe: [recipe.training_adapter] if recipe.training_adapter else None),
    Row("base_weights_multiplier", lambda _: None),
    Row("mixed_precision", _write_precision),
    Row("fp8_base", _write_fp8_base),
    Row("v_parameterization", lambda recipe: True if recipe.prediction == "v_prediction" else None),
    Row("v2", lambda _: None),
)
