"""A job of ai-toolkit as a recipe. Where it says nothing, ai-toolkit's own default is taken, not ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.bases.families import UNKNOWN
from lorasmith.bases.families.family import Family
from lorasmith.errors import RecipeError
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.recipe.exchange.ai_toolkit import words
from lorasmith.recipe.exchange.contradictions import settle
from lorasmith.recipe.exchange.imported import Imported, at_least_one, flag, number, sides, text, whole
from lorasmith.recipe.exchange.names import find_family, find_optimizer, read_optimizer_arguments
from lorasmith.recipe.exchange.settings import NOTHING, Settings

_LEAST_ADAPTIVE_RATE = 0.1
"""Below it ai-toolkit takes 1 for Prodigy."""


def from_job(document: Mapping[str, Any]) -> Imported:
    """A recipe from a job's file. Raises RecipeError listing every value that cannot be meant."""
    result = Imported("ai-toolkit")
    processes = Settings(document, result).within("config").entries("process")
    if not processes:
        raise RecipeError("config.process: a list with one process is expected.")
    process = processes[0]
    for other in processes[1:]:
        result.drop(other.where, other.table.get("type"), "one process is one run: the first one is taken")
    kind = process.value("type", text, "sd_trainer")
    if kind not in words.TRAINERS:
        result.drop(process.path("type"), kind, "is no training of an adapter on pictures")
    model = process.within("model")
    family = _read_model(model, result)
    if process.table.get("network") is None:
        result.drop(process.path("network"), None, "without one the whole model is trained; a LoRA stands in")
    _read_network(process.within("network"), result, family)
    train = process.within("train")
    _read_rates(train, result, family)
    _read_optimizer(train, result)
    _read_schedule(train, result)
    _read_length(train, process.within("save"), result)
    _read_loss(train, result)
    if family is not None and family.objective == "flow":
        _read_times(train, result)
    else:
        _read_timesteps(train, result)
    _read_datasets(process.entries("datasets"), train, result)
    settle(result)
    train.tell_rest(words.TRAINING, words.USUAL_TRAINING)
    process.note("trigger_word", "the trigger is the project's own")
    process.tell_rest(words.PROCESS)
    process.check()
    return result


def _read_model(model: Settings, result: Imported) -> Family | None:
    """The base and how it is kept; gives its family, None for one that is not trained here."""
    flags = [name for name in words.FLAGS if model.value(name, flag, False)]
    arch = model.value("arch", text, "").partition(":")[0] or next(iter(flags), "")
    found = find_family(words.TRAINER, arch) if arch else UNKNOWN
    if found is None:
        model.drop("arch", "that family of bases is not trained here")
    elif arch:
        result.notes.append(f"{model.path('arch')} = {arch}: the recipe is one for {found.title}.")
    model.note("name_or_path", "the base is the project's own")
    if model.value("is_v_pred", flag, False):
        result.put("prediction", "v_prediction")
    kept = "full"
    if model.value("quantize", flag, False):
        kind = model.value("qtype", text, "qfloat8").partition("|")[0]
        kept = words.QUANTISED.get(kind, "")
        if not kept:
            model.drop("qtype", "weights are kept in fp8, int8 or in full here")
            kept = "full"
    model.value("qtype", text, "")
    result.put("weights", kept)
    model.take("assistant_lora_path", "training_adapter", text, "")
    model.tell_rest(words.MODEL)
    return found


def _read_network(network: Settings, result: Imported, family: Family | None) -> None:
    kind = network.value("type", text, "lora").lower()
    if kind not in ("lora", "locon", "lokr", "dora"):
        network.drop("type", "this kind of adapter is not trained here; a LoRA stands in")
    result.put("algorithm", "lokr" if kind == "lokr" else "lora")
    result.put("dora", kind == "dora")
    linear = network.value("linear", at_least_one, 4)
    rank = network.take("rank", "rank", at_least_one, linear)
    alpha = network.value("linear_alpha", number, network.value("alpha", number, 1.0))
    convolutions = network.value("conv", whole, 0)
    conv_alpha = network.value("conv_alpha", number, float(convolutions))
    if family is not None and family.objective == "flow":
        if alpha != rank and "linear_alpha" in network.table:
            result.notes.append(f"{network.path('linear_alpha')}: for {family.title} ai-toolkit takes alpha = rank.")
        alpha = float(rank)
        result.notes.append(
            f"ai-toolkit adapts all linear layers in {family.title}'s blocks, modulation too; here attention and MLP."
        )
    elif convolutions:
        result.put("conv.rank", convolutions)
        result.put("conv.alpha", conv_alpha or float(convolutions))
        result.put("layers", ["attention", "mlp", "conv", "time"])
    result.put("alpha", alpha or float(rank))
    full, factor = network.value("lokr_full_rank", flag, True), network.value("lokr_factor", whole, -1)
    if kind == "lokr":
        result.put("lokr.full", full)
        result.put("lokr.factor", factor)
    network.take("dropout", "dropout.network", number, 0.0)
    if "pretrained_lora_path" in network.table:
        network.take("pretrained_lora_path", "init", text, "")
    network.tell_rest(("layer_offloading", "old_lokr_format"), words.USUAL_NETWORK)


def _read_rates(train: Settings, result: Imported, family: Family | None) -> None:
    shared = train.value("lr", number, 1e-6)
    unet, encoder = train.value("unet_lr", number, shared), train.value("text_encoder_lr", number, shared)
    trains_text = train.value("train_text_encoder", flag, False)
    if trains_text and family is not None and family.objective == "flow":
        train.drop("train_text_encoder", f"ai-toolkit trains no text encoder of {family.title}")
        trains_text = False
    result.put("lr.unet", unet if train.value("train_unet", flag, True) else 0.0)
    result.put("lr.text_encoder", encoder if trains_text else 0.0)
    train.take("max_grad_norm", "max_grad_norm", number, 1.0)


def _read_optimizer(train: Settings, result: Imported) -> None:
    name = train.value("optimizer", text, "adamw")
    known = find_optimizer(name)
    if known is None:
        train.drop("optimizer", "this optimizer is not there; AdamW stands in")
        known = "adamw"
    result.put("optimizer.name", known)
    params = train.within("optimizer_params")
    given = {"weight_decay": words.WEIGHT_DECAY.get(known, 0.0), **params.table}
    if known == "adafactor":
        given.setdefault("relative_step", False)
    read_optimizer_arguments(known, given, result)
    for key, value in given.items():
        if value not in NOTHING:
            result.drop(params.path(key), value, "has no counterpart here")
    if OPTIMIZERS[known].one_rate and 0 < result.get("lr.unet") < _LEAST_ADAPTIVE_RATE:
        result.notes.append(f"{train.path('lr')}: below 0.1 ai-toolkit takes 1 for {known}, and so is done here.")
        result.put("lr.unet", 1.0)
        result.put("lr.text_encoder", 1.0 if result.get("lr.text_encoder") else 0.0)


def _read_schedule(train: Settings, result: Imported) -> None:
    """PyTorch's schedules, whose names mean something else than kohya's."""
    name = train.value("lr_scheduler", text, "constant")
    given = train.within("lr_scheduler_params")
    warmup = given.value("num_warmup_steps", whole, 1000 if name == "constant_with_warmup" else 0)
    ours = {"constant_with_warmup": "constant", "cosine_with_restarts": "cosine"}.get(name, name)
    if name == "cosine_with_restarts":
        given.drop("T_0", "its restarts are counted in steps; one wave over the run stands in")
    elif name == "linear":
        train.drop("lr_scheduler", "rises there from a third of the rate to all of it; constant stands in")
        ours = "constant"
    elif ours not in ("constant", "cosine"):
        train.drop("lr_scheduler", "this learning-rate schedule is not there; constant stands in")
        ours = "constant"
    result.put("schedule.name", ours)
    result.put("schedule.warmup", warmup)
    given.tell_rest(("total_iters", "factor", "max_iterations"))


def _read_length(train: Settings, save: Settings, result: Imported) -> None:
    train.take("steps", "target_steps", at_least_one, 1000)
    train.take("batch_size", "batch_size", at_least_one, 1)
    older = train.value("gradient_accumulation_steps", whole, 1)
    if older < 1:
        train.drop("gradient_accumulation_steps", "a step is of whole epochs then; one micro-batch stands in")
        older = 1
    train.take("gradient_accumulation", "accumulate", at_least_one, older)
    train.take("gradient_checkpointing", "checkpointing", flag, True)
    every = save.value("save_every", at_least_one, 1000)
    result.put("save_every", f"{every} steps")
    save.take("max_step_saves_to_keep", "keep_last", whole, 5)
    save.tell_rest(words.SAVING)


def _read_loss(train: Settings, result: Imported) -> None:
    kind = train.value("loss_type", text, "mse")
    if kind not in words.LOSSES:
        train.drop("loss_type", "this loss is not there; the squared difference stands in")
    result.put("loss.kind", words.LOSSES.get(kind, "l2"))
    train.take("min_snr_gamma", "loss.min_snr_gamma", number, 0.0)
    train.take("noise_offset", "noise.offset", number, 0.0)
    average = train.within("ema_config")
    if average.value("use_ema", flag, False):
        result.put("average.kind", "ema")
        average.take("ema_decay", "average.decay", number, 0.999)
    average.tell_rest(("ema_decay",))
    differential = train.value("diff_output_preservation", flag, False)
    blank = train.value("blank_prompt_preservation", flag, False)
    result.put("preserve.kind", "differential" if differential or blank else "none")
    if differential or blank:
        key = "diff_output_preservation_multiplier" if differential else "blank_prompt_preservation_multiplier"
        train.take(key, "preserve.weight", number, 1.0)
        result.put("preserve.blank", 0.0 if not blank else 0.5 if differential else 1.0)


def _read_times(train: Settings, result: Imported) -> None:
    """The times of a flow."""
    kind = train.value("timestep_type", text, "sigmoid")
    if any(train.value(key, flag, False) for key in ("linear_timesteps", "linear_timesteps2")):
        result.drop(train.path("linear_timesteps"), True, "flows are learnt with one weight at all times here")
        kind = "linear"
    times = words.TIMES.get(kind)
    if times is None:
        reason = "flows are learnt with one weight at all times here; all times alike stand in"
        train.drop("timestep_type", reason if kind == "weighted" else "these times are not there; all alike stand in")
    for key, value in (times or words.TIMES["linear"]).items():
        result.put(f"timesteps.{key}", value)
    for key, whole_range in (("min_denoising_steps", 0), ("max_denoising_steps", 999)):
        if train.value(key, whole, whole_range) != whole_range:
            train.drop(key, "of a flow all times are trained at")


def _read_timesteps(train: Settings, result: Imported) -> None:
    """The timesteps of a discrete schedule; ai-toolkit counts from the noisy end."""
    train.value("timestep_type", text, "")
    least, most = train.value("min_denoising_steps", whole, 0), train.value("max_denoising_steps", whole, 999)
    result.put("timesteps.min", 999 - most)
    result.put("timesteps.max", 1000 - least)


def _read_datasets(datasets: list[Settings], train: Settings, result: Imported) -> None:
    """What is shown: of several folders that are learnt the first one's settings hold."""
    learnt = [each for each in datasets if not each.value("is_reg", flag, False)]
    reference = [each for each in datasets if each.value("is_reg", flag, False)]
    if reference:
        result.put("preserve.kind", "images")
        reference[0].take("folder_path", "preserve.folder", text, "reg")
        train.take("reg_weight", "preserve.weight", number, 1.0)
    for other in (*learnt[1:], *reference[1:]):
        result.drop(other.where, other.table.get("folder_path"), "the first folder's settings are taken for all")
    if not learnt:
        return
    shown = learnt[0]
    shown.note("folder_path", "the images are the project's own")
    shown.note("default_caption", "captions are the project's own")
    shown.note("trigger_word", "the trigger is the project's own")
    if shown.value("num_repeats", whole, 1) != 1:
        shown.note("num_repeats", "repeats are set with the images, in folders named 5_name")
    _read_resolution(shown, result)
    shown.take("caption_dropout_rate", "caption.dropout", number, 0.0)
    shown.take("token_dropout_rate", "caption.tag_dropout", number, 0.0)
    shown.take("shuffle_tokens", "caption.shuffle", flag, False)
    shown.take("keep_tokens", "caption.keep_tokens", whole, 0)
    shown.take("flip_x", "flip", flag, False)
    shown.take("random_crop", "augment.random_crop", flag, False)
    shown.take("buckets", "bucket.enabled", flag, True)
    shown.take("bucket_tolerance", "bucket.step", at_least_one, 64)
    masked = shown.value("mask_path", text, "")
    if masked:
        result.put("loss.mask_folder", masked)
    alpha = shown.value("alpha_mask", flag, False)
    result.put("loss.mask", "files" if masked else "alpha" if alpha else "none")
    if masked or alpha:
        shown.take("mask_min_value", "loss.mask_outside", number, 0.0)
    shown.tell_rest(words.DATASET, words.USUAL_DATASET)


def _read_resolution(shown: Settings, result: Imported) -> None:
    given = shown.value("resolution", _sizes, [512])
    result.put("resolution", sides(max(given)))
    if len(given) > 1:
        shown.drop("resolution", f"one size is trained at here; the largest, {max(given)}, is taken")


def _sizes(value: Any) -> list[int]:
    found = [at_least_one(each) for each in (value if isinstance(value, list) else [value])]
    if not found:
        raise ValueError
    return found
