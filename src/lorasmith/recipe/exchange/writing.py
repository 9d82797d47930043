"""A recipe as kohya's training TOML, and what kohya cannot say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomlkit

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.project import EMBEDDED
from lorasmith.recipe.exchange.imported import LeftOut, value_of
from lorasmith.recipe.exchange.terms import OPTIMIZERS_OUT, TERMS
from lorasmith.recipe.recipe import Recipe, recipe_values

_LYCORIS = {"loha": "loha", "lokr": "lokr", "ia3": "ia3"}
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
    table |= _network(recipe) | _rates(recipe) | _length(recipe, lost)
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


def _network(recipe: Recipe) -> dict[str, Any]:
    arguments: list[str] = []
    lycoris = (
        recipe.algorithm in _LYCORIS or recipe.dora or recipe.norms or recipe.conv.tucker or recipe.rank_stabilised
    )
    module = "lycoris.kohya" if lycoris else "networks.dylora" if recipe.algorithm == "dylora" else "networks.lora"
    if lycoris:
        arguments.append(f"algo={_LYCORIS.get(recipe.algorithm, 'locon')}")
        if not recipe.conv.rank and recipe.algorithm != "ia3":
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
    own = ALGORITHMS[recipe.algorithm].kohya.tell(recipe.options)
    arguments += [f"{key}={value}" for key, value in own.items() if value is not False]
    if recipe.lr.plus_ratio != 1:
        arguments.append(f"loraplus_lr_ratio={recipe.lr.plus_ratio:g}")
    for key, value in (("rank_dropout", recipe.dropout.rank), ("module_dropout", recipe.dropout.module)):
        if value:
            arguments.append(f"{key}={value:g}")
    table: dict[str, Any] = {"network_module": module, "network_alpha": recipe.alpha}
    return table | ({"network_args": arguments} if arguments else {})


def _rates(recipe: Recipe) -> dict[str, Any]:
    rates, optimizer = recipe.lr, recipe.optimizer
    arguments: list[str] = []
    if optimizer.name == "adafactor":
        arguments = [f"relative_step={optimizer.relative}"]
        arguments += ["scale_parameter=False", "warmup_init=False"] if not optimizer.relative else []
    else:
        arguments.append(f"weight_decay={optimizer.weight_decay:g}")
        if optimizer.betas is not None:
            arguments.append(f"betas={optimizer.betas[0]:g},{optimizer.betas[1]:g}")
        if optimizer.name == "prodigy" and optimizer.growth != 1:
            arguments.append(f"d_coef={optimizer.growth:g}")
    table: dict[str, Any] = {
        "unet_lr": rates.unet,
        "text_encoder_lr": rates.text_encoder if rates.text_encoder_2 is None else [rates.text_encoder, rates.second],
        "optimizer_type": OPTIMIZERS_OUT[optimizer.name],
        "optimizer_args": arguments,
        "lr_scheduler": recipe.schedule.name,
    }
    if recipe.schedule.name == "constant" and recipe.schedule.warmup:
        table["lr_scheduler"] = "constant_with_warmup"
    if recipe.schedule.name == "polynomial":
        table["lr_scheduler_power"] = recipe.schedule.power
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
