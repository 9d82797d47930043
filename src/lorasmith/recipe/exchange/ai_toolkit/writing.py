"""A recipe as a job of ai-toolkit, and what that cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lorasmith.optimizers import OPTIMIZERS
from lorasmith.project import EMBEDDED
from lorasmith.recipe.exchange.ai_toolkit import words
from lorasmith.recipe.exchange.imported import LeftOut, value_of
from lorasmith.recipe.exchange.names import family_word
from lorasmith.recipe.exchange.other_trainer import Surroundings
from lorasmith.recipe.recipe import Recipe, recipe_values

_UNKNOWN_THERE: tuple[tuple[str, Any], ...] = (
    # (key, what has no effect elsewhere)
    ("rank_stabilised", False),
    ("norms", False),
    ("rank_by_timestep", 0),
    ("conv.tucker", False),
    ("delta_norm", 0),
    ("max_weight_norm", 0),
    ("average.share", 0.25),
    ("dropout.rank", 0),
    ("dropout.module", 0),
    ("filter.only", []),
    ("filter.skip", []),
    ("blocks.lr", "flat"),
    ("blocks.rank", {}),
    ("blocks.alpha", {}),
    ("lr.text_encoder_2", None),
    ("lr.plus_ratio", 1),
    ("lokr.both", False),
    ("loss.debiased", False),
    ("loss.p2_gamma", 0),
    ("loss.scale_v", False),
    ("loss.v_like", 0),
    ("loss.mask_renormalise", False),
    ("noise.offset_random", False),
    ("noise.offset_adaptive", 0),
    ("noise.multires_iterations", 0),
    ("noise.ip_gamma", 0),
    ("noise.zero_terminal_snr", False),
    ("caption.keep_separator", ""),
    ("caption.dropout_every", 0),
    ("caption.weighted", False),
    ("bucket.no_upscale", False),
    ("augment.colour", False),
    ("validation.share", 0),
    ("strength.min", 1.0),
    ("strength.max", 1.0),
    ("sample.prompts", []),
    ("fit_memory", False),
)
_STEPS = 2000
"""Where neither the recipe nor the images tell the steps."""
_SAVED_EVERY = 250
_DTYPES = {"fp32": "fp32", "fp16": "fp16", "bf16": "bf16", "auto": "bf16"}


def write_job(recipe: Recipe, around: Surroundings) -> tuple[str, list[LeftOut]]:
    """The YAML of a job, and what is left out."""
    import yaml

    process = {
        "type": "diffusion_trainer",
        "training_folder": "output",
        "device": "cuda",
        "network": _network(recipe),
        "save": _save(recipe, around),
        "datasets": [*_datasets(recipe, around)],
        "train": _train(recipe, around),
        "model": _model(recipe),
    }
    job = {"job": "extension", "config": {"name": around.name, "process": [process]}}
    job["meta"] = {"name": "[name]", "version": "1.0"}
    return yaml.safe_dump(job, sort_keys=False, allow_unicode=True), list(_left_out(recipe, around))


def _is_flow(recipe: Recipe) -> bool:
    return recipe.family.objective == "flow"


def _network(recipe: Recipe) -> dict[str, Any]:
    kind = "lokr" if recipe.algorithm == "lokr" else "dora" if recipe.dora else "lora"
    network: dict[str, Any] = {"type": kind, "linear": recipe.rank, "linear_alpha": recipe.alpha}
    if kind == "lokr":
        options = recipe.options
        network |= {"lokr_full_rank": options.full, "lokr_factor": options.factor}  # type: ignore[attr-defined]
    if recipe.conv.rank and not _is_flow(recipe):
        network |= {"conv": recipe.conv.rank, "conv_alpha": recipe.conv.alpha or float(recipe.conv.rank)}
    if recipe.dropout.network:
        network["dropout"] = recipe.dropout.network
    if recipe.init:
        network["pretrained_lora_path"] = recipe.init
    return network


def _save(recipe: Recipe, around: Surroundings) -> dict[str, Any]:
    return {
        "dtype": "float16",
        "save_every": _saved_every(recipe, around) or _SAVED_EVERY,
        "max_step_saves_to_keep": recipe.keep_last or 1000,
        "save_format": "safetensors",
    }


def _saved_every(recipe: Recipe, around: Surroundings) -> int | None:
    """Steps between two snapshots; None where they are counted otherwise."""
    amount, unit = recipe.save_every.amount, recipe.save_every.unit
    if unit == "epochs" and around.steps and recipe.epochs:
        return max(1, round(amount * around.steps / recipe.epochs))
    return int(amount) if unit == "steps" else None


def _datasets(recipe: Recipe, around: Surroundings) -> Iterator[dict[str, Any]]:
    folder = "/path/to/images/folder" if around.dataset_config is None else str(around.dataset_config.parent)
    shown: dict[str, Any] = {
        "folder_path": folder,
        "caption_ext": "txt",
        "resolution": [max(recipe.resolution)],
        "num_repeats": around.repeats or 1,
        "buckets": recipe.bucket.enabled,
        "bucket_tolerance": recipe.bucket.step,
        "caption_dropout_rate": recipe.caption.dropout,
        "token_dropout_rate": recipe.caption.tag_dropout,
        "shuffle_tokens": recipe.caption.shuffle,
        "keep_tokens": recipe.caption.keep_tokens,
        "flip_x": recipe.flip,
        "random_crop": recipe.augment.random_crop,
        "cache_latents_to_disk": not recipe.augment.random_crop,
    }
    if recipe.loss.mask == "files":
        shown["mask_path"] = recipe.loss.mask_folder
    if recipe.loss.mask == "alpha":
        shown["alpha_mask"] = True
    if recipe.loss.mask != "none":
        shown["mask_min_value"] = recipe.loss.mask_outside
    yield shown
    if recipe.preserve.kind == "images":
        yield {"folder_path": recipe.preserve.folder, "caption_ext": "txt", "is_reg": True}


def _train(recipe: Recipe, around: Surroundings) -> dict[str, Any]:
    optimizer = _optimizer(recipe)
    train: dict[str, Any] = {
        "batch_size": recipe.batch_size,
        "steps": around.steps or recipe.target_steps or _STEPS,
        "gradient_accumulation": recipe.accumulate,
        "train_unet": bool(recipe.lr.unet),
        "train_text_encoder": recipe.trains_text and not _is_flow(recipe),
        "gradient_checkpointing": recipe.checkpointing,
        "noise_scheduler": "flowmatch" if _is_flow(recipe) else "ddpm",
        "optimizer": optimizer,
        "optimizer_params": _optimizer_params(recipe, optimizer),
        "lr": recipe.lr.unet or recipe.lr.text_encoder,
        "lr_scheduler": _schedule(recipe),
        "max_grad_norm": recipe.max_grad_norm,
        "dtype": _DTYPES[recipe.precision],
        "loss_type": _loss(recipe) or "mse",
    }
    if train["lr_scheduler"] == "constant_with_warmup":
        train["lr_scheduler_params"] = {"num_warmup_steps": _warmup(recipe, train["steps"])}
    if train["train_text_encoder"] and recipe.lr.text_encoder != recipe.lr.unet:
        train["text_encoder_lr"] = recipe.lr.text_encoder
    if _is_flow(recipe):
        train["timestep_type"] = _times(recipe) or "sigmoid"
    else:
        train |= {
            "min_denoising_steps": 1000 - recipe.timesteps.max,
            "max_denoising_steps": 999 - recipe.timesteps.min,
            "noise_offset": recipe.noise.offset,
        }
    if recipe.loss.min_snr_gamma:
        train["min_snr_gamma"] = recipe.loss.min_snr_gamma
    if recipe.average.kind == "ema":
        train["ema_config"] = {"use_ema": True, "ema_decay": recipe.average.decay}
    return train | _preservation(recipe)


def _preservation(recipe: Recipe) -> dict[str, Any]:
    kept, weight = recipe.preserve, recipe.preserve.weight
    if kept.kind == "images":
        return {"reg_weight": weight}
    if kept.kind not in ("differential", "both"):
        return {}
    if kept.blank == 1:
        return {"blank_prompt_preservation": True, "blank_prompt_preservation_multiplier": weight}
    return {"diff_output_preservation": True, "diff_output_preservation_multiplier": weight}


def _model(recipe: Recipe) -> dict[str, Any]:
    model: dict[str, Any] = {"name_or_path": recipe.base}
    arch = family_word(words.TRAINER, recipe.family)
    if arch is not None:
        model["arch"] = arch
    if recipe.prediction == "v_prediction":
        model["is_v_pred"] = True
    if recipe.training_adapter:
        model["assistant_lora_path"] = recipe.training_adapter
    kept = next((word for word, ours in words.QUANTISED.items() if ours == recipe.weights), None)
    model["quantize"] = kept is not None
    return model if kept is None else {**model, "qtype": kept}


def _optimizer(recipe: Recipe) -> str:
    return recipe.optimizer.name if recipe.optimizer.name in words.WEIGHT_DECAY else "adamw"


def _optimizer_params(recipe: Recipe, optimizer: str) -> dict[str, Any]:
    options = recipe.optimizer.options
    params: dict[str, Any] = {}
    for argument, option in OPTIMIZERS[optimizer].words.arguments.items():
        value = getattr(options, option, None)
        if isinstance(value, tuple):
            value = list(value)
        if value is not None and (argument == "weight_decay" or value != type(options).model_fields[option].default):
            params[argument] = value
    return params


def _schedule(recipe: Recipe) -> str:
    if recipe.schedule.name == "constant" and recipe.schedule.warmup:
        return "constant_with_warmup"
    return recipe.schedule.name if recipe.schedule.name in ("constant", "cosine") else "cosine"


def _warmup(recipe: Recipe, steps: int) -> int:
    warmup = recipe.schedule.warmup
    return round(warmup * steps) if warmup < 1 else int(warmup)


def _loss(recipe: Recipe) -> str | None:
    return next((word for word, ours in words.LOSSES.items() if ours == recipe.loss.kind), None)


def _times(recipe: Recipe) -> str | None:
    """`timestep_type`; None where none of them draws the recipe's times."""
    times = recipe.timesteps
    drawn: Mapping[str, Any] = {"sampling": times.sampling, "std": times.std, "shift": times.shift}
    if times.sampling == "logit_normal" and not times.mean:
        drawn = {**drawn, "sampling": "sigmoid"}
    if times.mean or (times.min, times.max) != (0, 1000):
        return None
    return next((word for word, own in words.TIMES.items() if all(drawn[key] == own[key] for key in own)), None)


def _left_out(recipe: Recipe, around: Surroundings) -> Iterator[LeftOut]:
    values = recipe_values(recipe)
    for key, neutral in _UNKNOWN_THERE:
        if value_of(values, key) not in (neutral, None):
            yield LeftOut(key, value_of(values, key), "ai-toolkit has nothing of the kind")
    if recipe.base == EMBEDDED:
        yield LeftOut("base", EMBEDDED, "the embedded base is ours alone: name another one in the file")
    elif family_word(words.TRAINER, recipe.family) is None:
        yield LeftOut("base", recipe.base, f"ai-toolkit trains no {recipe.family.title}")
    if recipe.algorithm not in ("lora", "lokr"):
        yield LeftOut("algorithm", recipe.algorithm, "ai-toolkit has nothing of the kind; a LoRA stands in")
    if recipe.optimizer.name not in words.WEIGHT_DECAY:
        yield LeftOut("optimizer.name", recipe.optimizer.name, "ai-toolkit has no such optimizer; AdamW stands in")
    if recipe.schedule.name not in ("constant", "cosine"):
        yield LeftOut("schedule.name", recipe.schedule.name, "ai-toolkit has no such schedule; cosine stands in")
    if recipe.schedule.warmup and recipe.schedule.name != "constant":
        yield LeftOut("schedule.warmup", recipe.schedule.warmup, "ai-toolkit warms up before a constant rate alone")
    if len(set(recipe.resolution)) > 1:
        yield LeftOut("resolution", list(recipe.resolution), "ai-toolkit takes one side; the longer one is written")
    if _loss(recipe) is None:
        yield LeftOut("loss.kind", recipe.loss.kind, "ai-toolkit has no such loss; the squared difference stands in")
    if recipe.average.kind == "tail":
        yield LeftOut("average.kind", "tail", "ai-toolkit averages with a decay alone")
    if recipe.preserve.kind in ("prior", "both"):
        yield LeftOut("preserve.kind", recipe.preserve.kind, "ai-toolkit draws no pictures to preserve the base by")
    if recipe.clip_skip != 1 and recipe.family.reads_clip_skip:
        yield LeftOut("clip_skip", recipe.clip_skip, "ai-toolkit reads the last layer")
    if _saved_every(recipe, around) is None:
        yield LeftOut("save_every", str(recipe.save_every), f"ai-toolkit saves by steps; {_SAVED_EVERY} is written")
    if around.steps is None and recipe.target_steps is None:
        yield LeftOut("epochs", recipe.epochs, f"the steps are not known without the images; {_STEPS} are written")
    yield from _left_out_of_flows(recipe)


def _left_out_of_flows(recipe: Recipe) -> Iterator[LeftOut]:
    if not _is_flow(recipe):
        if recipe.timesteps.sampling != "uniform" or recipe.timesteps.shift != 1:
            yield LeftOut("timesteps.sampling", recipe.timesteps.sampling, "ai-toolkit takes all timesteps alike")
        return
    if _times(recipe) is None:
        drawn = recipe.timesteps.model_dump(exclude_defaults=True)
        yield LeftOut("timesteps", drawn, "ai-toolkit draws no such times; sigmoid stands in")
    if recipe.alpha != recipe.rank:
        yield LeftOut("alpha", recipe.alpha, f"ai-toolkit takes alpha = rank for {recipe.family.title}")
    if recipe.trains_text:
        yield LeftOut("lr.text_encoder", recipe.lr.text_encoder, f"ai-toolkit trains no text of {recipe.family.title}")
