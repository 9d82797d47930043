"""A recipe as kohya's training TOML, and what kohya cannot say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomlkit

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.project import EMBEDDED
from lorasmith.recipe.exchange.imported import LeftOut, value_of
from lorasmith.recipe.exchange.names import LYCORIS, write_optimizer_arguments
from lorasmith.recipe.exchange.terms import BY_ARGUMENT, TERMS
from lorasmith.recipe.recipe import Recipe, recipe_values

_UNKNOWN_THERE: tuple[tuple[str, Any], ...] = (
    # (key, what has no effect elsewhere)
    ("rank_by_timestep", 0),
    ("delta_norm", 0),
    ("average.kind", "none"),
    ("loss.p2_gamma", 0),
    ("loss.mask_outside", 0),
    ("loss.mask_renormalise", False),
    ("timesteps.sampling", "uniform"),
    ("timesteps.shift", 1),
    ("validation.share", 0),
    ("filter.only", []),
    ("filter.skip", []),
    ("blocks.lr", "flat"),
    ("blocks.rank", {}),
    ("blocks.alpha", {}),
    ("fit_memory", False),
    ("sample.prompts", []),
)


def to_kohya(recipe: Recipe, *, name: str, dataset_config: Path | None = None) -> tuple[str, list[LeftOut]]:
    """The text of a ``--config_file``, and what is left out. `dataset_config` is the file that names the images."""
    values = recipe_values(recipe)
    lost = [
        LeftOut(key, value_of(values, key), "kohya has nothing of the kind")
        for key, neutral in _UNKNOWN_THERE
        if value_of(values, key) not in (neutral, None)
    ]
    if recipe.preserve.kind in ("differential", "prior", "both"):
        lost.append(LeftOut("preserve.kind", recipe.preserve.kind, "kohya has nothing of the kind"))
    table: dict[str, Any] = {"pretrained_model_name_or_path": recipe.base, "output_name": name}
    if recipe.base == EMBEDDED:
        lost.append(LeftOut("base", EMBEDDED, "the embedded base is ours alone: name another one in the file"))
    if dataset_config is not None:
        table["dataset_config"] = str(dataset_config)
    else:
        table["resolution"] = ",".join(map(str, recipe.resolution))
    table |= {term.argument: value_of(values, term.path) for term in TERMS if value_of(values, term.path) is not None}
    rules = recipe.bucket_rules
    table |= {"min_bucket_reso": rules.smallest, "max_bucket_reso": rules.largest}
    for optional in ("network_weights", "keep_tokens_separator"):
        if not table[optional]:
            del table[optional]
    if table["max_token_length"] == 75:
        del table["max_token_length"]
    table |= _network(recipe, lost) | _rates(recipe, lost) | _length(recipe, lost)
    table |= _base(recipe, lost)
    document = tomlkit.document()
    document.add(tomlkit.comment("For kohya's trainer: --config_file."))
    for key, value in table.items():
        document[key] = value
    return tomlkit.dumps(document), lost


def _base(recipe: Recipe, lost: list[LeftOut]) -> dict[str, Any]:
    """How the frozen base is kept and what it predicts."""
    table: dict[str, Any] = {}
    if recipe.precision != "auto":
        table["mixed_precision"] = "no" if recipe.precision == "fp32" else recipe.precision
    if recipe.weights == "fp8":
        table["fp8_base"] = True
    elif recipe.weights != "full":
        lost.append(LeftOut("weights", recipe.weights, "kohya keeps a base in fp8 or in full"))
    if recipe.prediction == "v_prediction":
        table["v_parameterization"] = True
    elif recipe.prediction != "auto":
        lost.append(LeftOut("prediction", recipe.prediction, "kohya takes it for granted unless told otherwise"))
    return table


def _network(recipe: Recipe, lost: list[LeftOut]) -> dict[str, Any]:
    arguments: list[str] = []
    words = ALGORITHMS[recipe.algorithm].kohya
    if not (words.module or words.algo) or ALGORITHMS[recipe.algorithm].on_norms:
        lost.append(LeftOut("algorithm", recipe.algorithm, "kohya has nothing of the kind; a LoRA stands in"))
        words = ALGORITHMS["lora"].kohya
    switched = recipe.dora or recipe.norms or recipe.conv.tucker or recipe.rank_stabilised
    module = words.module if words.module and not switched else LYCORIS
    if module == LYCORIS:
        arguments.append(f"algo={words.algo}")
        if not recipe.conv.rank and ALGORITHMS[recipe.algorithm].ranked:
            arguments.append("preset=attn-mlp")
    if recipe.conv.rank:
        arguments += [f"conv_dim={recipe.conv.rank}", f"conv_alpha={recipe.conv.alpha or recipe.alpha:g}"]
    flags = {
        "dora_wd": recipe.dora,
        "rs_lora": recipe.rank_stabilised,
        "train_norm": recipe.norms,
        "use_tucker": recipe.conv.tucker,
    }
    arguments += [f"{key}=True" for key, flag in flags.items() if flag]
    own = words.tell(recipe.options)
    arguments += [f"{key}={value}" for key, value in own.items() if value is not False]
    if recipe.lr.plus_ratio != 1:
        arguments.append(f"loraplus_lr_ratio={recipe.lr.plus_ratio:g}")
    for key, value in (("rank_dropout", recipe.dropout.rank), ("module_dropout", recipe.dropout.module)):
        if value:
            arguments.append(f"{key}={value:g}")
    table: dict[str, Any] = {"network_module": module, "network_alpha": recipe.alpha}
    return table | ({"network_args": arguments} if arguments else {})


def _rates(recipe: Recipe, lost: list[LeftOut]) -> dict[str, Any]:
    rates, schedule = recipe.lr, SCHEDULES[recipe.schedule.name]
    optimizer, arguments = OPTIMIZERS[recipe.optimizer.name].words.kohya, write_optimizer_arguments(recipe)
    if not optimizer:
        lost.append(LeftOut("optimizer.name", recipe.optimizer.name, "kohya has no such optimizer; AdamW stands in"))
        optimizer, arguments = "AdamW", []
    if not schedule.words.kohya:
        lost.append(LeftOut("schedule.name", schedule.name, "kohya has no such schedule; cosine stands in"))
    table: dict[str, Any] = {
        "unet_lr": rates.unet,
        "text_encoder_lr": rates.text_encoder if rates.text_encoder_2 is None else [rates.text_encoder, rates.second],
        "optimizer_type": optimizer,
        "optimizer_args": arguments,
        "lr_scheduler": schedule.words.kohya or "cosine",
    }
    if recipe.schedule.warmup and schedule.words.warming:
        table["lr_scheduler"] = schedule.words.warming
    own = {argument: getattr(recipe.schedule, option) for argument, option in schedule.words.arguments.items()}
    table |= {argument: value for argument, value in own.items() if argument not in BY_ARGUMENT}
    if not recipe.trains_text:
        table["network_train_unet_only"] = True
    if not rates.unet:
        table["network_train_text_encoder_only"] = True
    return table


def _length(recipe: Recipe, lost: list[LeftOut]) -> dict[str, Any]:
    table: dict[str, Any] = {"seed": recipe.seed, "save_model_as": "safetensors"}
    if recipe.epochs is not None and recipe.target_steps is None:
        table["max_train_epochs"] = recipe.epochs
    else:
        table["max_train_steps"] = recipe.target_steps
        if recipe.epochs is not None:
            lost.append(LeftOut("epochs", recipe.epochs, "kohya takes steps or epochs; the steps are written"))
    every = recipe.save_every
    if every.unit == "minutes":
        lost.append(LeftOut("save_every", str(every), "kohya saves by epochs or steps"))
    else:
        table[f"save_every_n_{every.unit}"] = int(every.amount)
        if recipe.keep_last:
            table[f"save_last_n_{every.unit}"] = recipe.keep_last * int(every.amount)
    if recipe.loss.mask != "none":
        table |= {"masked_loss": True} if recipe.loss.mask == "files" else {"masked_loss": True, "alpha_mask": True}
    if recipe.preserve.kind == "images":
        table |= {"reg_data_dir": recipe.preserve.folder, "prior_loss_weight": recipe.preserve.weight}
    return table
