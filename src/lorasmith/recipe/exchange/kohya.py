"""kohya's training arguments (sd-scripts) as a recipe: what its TOML and JSON files and adapters' headers say.

Where an argument is not given, kohya's own default is taken, not ours: the import shall train as kohya would.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.recipe.exchange.imported import Imported, at_least_one, flag, number, sides, text, whole
from lorasmith.recipe.exchange.names import (
    LYCORIS,
    find_algorithm,
    find_module,
    find_optimizer,
    find_schedule,
    own_arguments,
    read_optimizer_arguments,
)
from lorasmith.recipe.exchange.terms import BY_ARGUMENT, ELSEWHERE, TECHNICAL, TERMS

DEFAULT_STEPS = 1600
DEFAULT_RATE = 2e-6
# A value in brackets, or words and commas up to the next key.
_PAIR = re.compile(r"\w+\s*=\s*(?:\([^)]*\)|\[[^]]*\]|[^\s,]+(?:,(?!\s*\w+\s*=)[^\s,]+)*)")


def from_arguments(arguments: Mapping[str, Any], source: str) -> Imported:
    """A recipe from sd-scripts' arguments, by their names without the dashes."""
    result = Imported(source)
    given = {key: value for key, value in arguments.items() if value is not None and value != ""}
    for term in TERMS:
        value = given.get(term.argument, term.default)
        result.take(term.path, term.argument, value, term.read)
        if result.get(term.path) is None:
            result.put(term.path, term.default)
    handled = set(BY_ARGUMENT)
    for read in (_read_length, _read_rates, _read_optimizer, _read_schedule, _read_network, _read_rest):
        handled |= read(given, result)
    _settle(result)
    for key, value in given.items():
        if key in ELSEWHERE:
            result.notes.append(f"{key}: {ELSEWHERE[key]}.")
        elif key not in handled and key not in TECHNICAL and value not in (False, [], {}, 0):
            result.drop(key, value, "has no counterpart here")
    return result


def _read_length(given: Mapping[str, Any], result: Imported) -> set[str]:
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
    return {
        "max_train_epochs", "max_train_steps", "save_every_n_epochs", "save_every_n_steps", "save_last_n_epochs",
        "save_last_n_steps", "seed", "resolution", "num_repeats",
    }  # fmt: skip


def _read_rates(given: Mapping[str, Any], result: Imported) -> set[str]:
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
    return {
        "learning_rate", "unet_lr", "text_encoder_lr", "network_train_unet_only", "network_train_text_encoder_only",
    }  # fmt: skip


def _read_optimizer(given: Mapping[str, Any], result: Imported) -> set[str]:
    name = str(given.get("optimizer_type", "AdamW8bit" if given.get("use_8bit_adam") else "AdamW"))
    known = find_optimizer(name)
    if known is None:
        result.drop("optimizer_type", name, "this optimizer is not there; AdamW stands in")
    result.put("optimizer.name", known or "adamw")
    arguments = _pairs(given.get("optimizer_args"))
    read_optimizer_arguments(known or "adamw", arguments, result)
    for key, value in arguments.items():
        result.drop(f"optimizer_args: {key}", value, "has no counterpart here")
    return {"optimizer_type", "optimizer_args"}


def _read_schedule(given: Mapping[str, Any], result: Imported) -> set[str]:
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
    return {"lr_scheduler", "lr_scheduler_power"}


def _read_network(given: Mapping[str, Any], result: Imported) -> set[str]:
    module = str(given.get("network_module", "networks.lora"))
    arguments = _pairs(given.get("network_args"))
    made = find_module(module)
    algo = str(arguments.pop("algo", "" if made else module)).lower()
    known = find_algorithm(algo) if algo else made
    if known is None:
        result.drop(
            "network_module", f"{module} {algo}".strip(), "this algorithm is not trained here; a LoRA stands in"
        )
    result.put("algorithm", known or "lora")
    alpha = given.get("network_alpha", 1)
    result.take("alpha", "network_alpha", alpha, lambda value: number(value) or float(result.get("rank")))
    lycoris = module == LYCORIS and known is not None and "conv.tucker" in ALGORITHMS[known].switches
    conv = arguments.pop("conv_dim", given.get("network_dim", 4) if lycoris else None)
    conv_alpha = arguments.pop("conv_alpha", alpha if lycoris else 1)
    if conv is not None and whole(conv) > 0 and ALGORITHMS[known or "lora"].ranked:
        result.take("conv.rank", "conv_dim", conv, whole)
        result.take("conv.alpha", "conv_alpha", conv_alpha, lambda value: number(value) or float(whole(conv)))
        result.put("layers", ["attention", "mlp", "conv", "time"])
    for key, path, read in (
        ("loraplus_lr_ratio", "lr.plus_ratio", number),
        ("loraplus_unet_lr_ratio", "lr.plus_ratio", number),
        ("rank_dropout", "dropout.rank", number),
        ("module_dropout", "dropout.module", number),
        ("dropout", "dropout.network", number),
        ("dora_wd", "dora", flag),
        ("rs_lora", "rank_stabilised", flag),
        ("train_norm", "norms", flag),
        *own_arguments(),
    ):
        if key in arguments:
            result.take(path, f"network_args: {key}", arguments.pop(key), read)
    tucker = [arguments.pop(key) for key in ("use_tucker", "use_cp", "use_conv_cp") if key in arguments]
    if any(flag(each) for each in tucker) and result.get("conv.rank"):
        result.put("conv.tucker", True)
    preset = str(arguments.pop("preset", "full"))
    if preset in ("attn-mlp", "attn-only", "unet-transformer-only"):
        result.put("layers", ["attention"] if preset == "attn-only" else ["attention", "mlp"])
        result.values.pop("conv", None)
    elif preset != "full":
        result.drop("network_args: preset", preset, "has no counterpart here; all layers are adapted")
    for key, value in arguments.items():
        if value not in (False, "False", None, "None"):
            result.drop(f"network_args: {key}", value, "has no counterpart here")
    return {"network_module", "network_args", "network_alpha"}


def _read_rest(given: Mapping[str, Any], result: Imported) -> set[str]:
    result.put("preserve.kind", "none")
    if "reg_data_dir" in given:
        result.put("preserve.kind", "images")
        result.take("preserve.folder", "reg_data_dir", given["reg_data_dir"], text)
        result.take("preserve.weight", "prior_loss_weight", given.get("prior_loss_weight", 1), number)
    if flag(given.get("masked_loss", False)) or flag(given.get("alpha_mask", False)):
        result.put("loss.mask", "alpha" if flag(given.get("alpha_mask", False)) else "files")
    if flag(given.get("fp8_base", False)):
        result.put("weights", "fp8")
    if flag(given.get("v_parameterization", False)):
        result.put("prediction", "v_prediction")
    if given.get("v2"):
        result.notes.append("v2: the family of a base is read from the base itself.")
    return {"reg_data_dir", "prior_loss_weight", "masked_loss", "alpha_mask", "fp8_base", "v_parameterization", "v2"}


def _settle(result: Imported) -> None:
    """Contradictions that kohya tolerates, taken the way it acts."""
    if (
        not result.get("caption.shuffle")
        and not result.get("caption.tag_dropout")
        and result.get("caption.keep_tokens")
    ):
        result.notes.append("keep_tokens does nothing without shuffling; it is kept for when that is switched on.")
    if result.get("loss.min_snr_gamma") and result.get("loss.debiased"):
        result.drop("debiased_estimation_loss", True, "min_snr_gamma weighs the same thing already")
        result.put("loss.debiased", False)
    if not result.get("noise.offset"):
        result.put("noise.offset_random", False)
    if not result.get("noise.ip_gamma"):
        result.put("noise.ip_random", False)
    if result.get("caption.max_tokens") not in (75, 150, 225):
        result.put("caption.max_tokens", 75)
    if OPTIMIZERS[result.get("optimizer.name")].one_rate:
        one_rate(result)
    gated = ("dropout.network", "dropout.rank", "max_weight_norm")
    if result.get("algorithm") != "lora" or result.get("dora") or result.get("conv.tucker"):
        for path in gated:
            if result.get(path):
                result.drop(path, result.get(path), "is for plain lora only here")
                result.put(path, 0)


def one_rate(result: Imported) -> None:
    """Prodigy finds one rate for all: the text encoder gets the UNet's, or none."""
    unet, encoder = result.get("lr.unet", 1.0), result.get("lr.text_encoder", 0.0)
    result.values.get("lr", {}).pop("text_encoder_2", None)
    if encoder not in (0, unet):
        result.drop("text_encoder_lr", encoder, f"prodigy has one rate for all; {unet:g} is taken")
        result.put("lr.text_encoder", unet)


def _pairs(value: Any) -> dict[str, Any]:
    """``["a=1", "b=True"]``, ``"a=1 b=True"`` or a table, as a table with Python's values."""
    if isinstance(value, str):
        value = _PAIR.findall(value[:10_000])
    if isinstance(value, Mapping):
        pairs = {str(key): each for key, each in value.items()}
    else:
        split = (str(each).partition("=") for each in value or ())
        pairs = {key.strip(): each.strip().rstrip(",") for key, _, each in split}
    return {key: literal(each) for key, each in pairs.items()}


def literal(value: Any) -> Any:
    """A text as the Python value that it spells, else the text."""
    if not isinstance(value, str) or len(value) > 10_000:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return value
