"""A configuration of OneTrainer as a recipe. Where it says nothing, OneTrainer's own default is taken, not ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.bases.families import FAMILIES
from lorasmith.bases.families.family import Family
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.recipe.exchange.contradictions import settle
from lorasmith.recipe.exchange.imported import Imported, at_least_one, flag, number, sides, text, whole
from lorasmith.recipe.exchange.names import find_family, read_optimizer_arguments
from lorasmith.recipe.exchange.onetrainer import words
from lorasmith.recipe.exchange.settings import NOTHING, Settings


def from_config(document: Mapping[str, Any]) -> Imported:
    """A recipe from a configuration. Raises RecipeError listing every value that cannot be meant."""
    result = Imported("OneTrainer")
    config = Settings(document, result)
    if config.value("training_method", text, "FINE_TUNE") != "LORA":
        config.drop("training_method", "an adapter is trained here; a LoRA stands in")
    kind = config.value("model_type", text, "")
    family = find_family(words.TRAINER, kind)
    if family is None:
        config.drop("model_type", "that family of bases is not trained here")
    else:
        result.notes.append(f"model_type = {kind}: the recipe is one for {family.title}.")
    config.note("base_model_name", "the base is the project's own")
    config.note("concept_file_name", "the images are the project's own")
    config.taken.add("concepts")
    _read_adapter(config, result, family)
    _read_parts(config, result, family)
    _read_optimizer(config.within("optimizer"), result)
    _read_schedule(config, result)
    _read_length(config, result)
    _read_loss(config, result)
    _read_noise(config, result, family)
    _read_shown(config, result)
    settle(result)
    config.tell_rest(words.TECHNICAL, words.USUAL)
    config.check()
    return result


def _read_adapter(config: Settings, result: Imported, family: Family | None) -> None:
    kind = config.value("peft_type", text, "LORA").lower()
    if kind not in words.ADAPTERS:
        config.drop("peft_type", "this kind of adapter is not trained here; a LoRA stands in")
    algorithm = words.ADAPTERS.get(kind, "lora")
    result.put("algorithm", algorithm)
    config.take("lora_rank", "rank", at_least_one, 16)
    config.take("lora_alpha", "alpha", number, 1.0)
    config.take("dropout_probability", "dropout.network", number, 0.0)
    decomposed = config.value("lora_decompose", flag, False)
    on_output = config.value("lora_decompose_output_axis", flag, False)
    if algorithm == "lokr":
        config.take("lokr_dim", "rank", at_least_one, 16)
        config.take("lokr_decompose_factor", "lokr.factor", whole, -1)
        config.take("lokr_full_matrix", "lokr.full", flag, False)
        config.take("lokr_decompose_both", "lokr.both", flag, False)
        decomposed = config.value("lokr_weight_decompose", flag, False)
        on_output = config.value("lokr_dora_on_output", flag, True)
        if config.value("lokr_use_tucker", flag, False):
            config.drop("lokr_use_tucker", "a core kernel is for convolutions of low rank here")
    result.put("dora", decomposed)
    if decomposed and not on_output:
        result.notes.append("lora_decompose: magnitudes stand on the output here; on the input in such a file.")
    if "lora_model_name" in config.table and config.table["lora_model_name"] not in NOTHING:
        config.take("lora_model_name", "init", text, "")
    _read_layers(config, result, family)


def _read_layers(config: Settings, result: Imported, family: Family | None) -> None:
    """Which layers: a named preset, else the patterns."""
    patterns = config.value("layer_filter", text, "")
    preset = config.value("layer_filter_preset", text, words.FILTERS.get(patterns, "custom"))
    flow = family is not None and family.objective == "flow"
    if preset in words.LAYERS:
        result.put("layers", list(words.LAYERS[preset]))
        if preset == "blocks":
            result.notes.append("layer_filter_preset = blocks: attention and MLP of them are adapted here.")
        return
    if preset != "full":
        config.drop("layer_filter", "patterns of other names; attention and MLP are adapted")
    elif flow:
        result.notes.append("All layers are adapted there (no layer_filter); attention and MLP here.")
    else:
        result.notes.append("All layers are adapted there (no layer_filter); those of the blocks here.")
        result.put("layers", ["attention", "mlp", "conv", "time"])
        result.put("conv.rank", result.get("rank"))
        result.put("conv.alpha", result.get("alpha"))
        return
    result.put("layers", ["attention", "mlp"])


def _read_parts(config: Settings, result: Imported, family: Family | None) -> None:
    """Rates of the parts of the model, and how the denoiser is kept."""
    shared = config.value("learning_rate", number, 3e-6)
    owner = "unet" if family is None else family.denoiser_part
    others = {each.denoiser_part for each in FAMILIES.values()} - {owner}
    config.taken |= others
    denoiser = config.within(owner)
    trained = denoiser.value("train", flag, True)
    result.put("lr.unet", denoiser.value("learning_rate", number, shared) if trained else 0.0)
    kept = denoiser.value("weight_dtype", text, "NONE").lower()
    if kept not in words.KEPT:
        denoiser.drop("weight_dtype", "weights are kept in fp8, int8 or in full here")
    result.put("weights", words.KEPT.get(kept, "full"))
    older = config.table.get("gradient_checkpointing") not in (None, False, "OFF")
    config.taken.add("gradient_checkpointing")
    default = older if "gradient_checkpointing" in config.table else True
    result.put("checkpointing", denoiser.value("gradient_checkpointing", flag, default))
    parts = 1 if family is None else len(family.text)
    for index, key in enumerate(("text_encoder", "text_encoder_2")):
        part = config.within(key)
        skip = config.value(f"{key}_layer_skip", whole, 0)
        if index >= parts or (family is not None and family.objective == "flow" and index):
            continue
        learns = part.value("train", flag, True)
        rate = part.value("learning_rate", number, shared) if learns else 0.0
        result.put("lr.text_encoder" if index == 0 else "lr.text_encoder_2", rate)
        part.drop("dropout_probability", "captions are left out as a whole here (caption.dropout)")
        part.tell_rest(words.PART)
        if skip and (family is None or not family.reads_clip_skip):
            config.drop(f"{key}_layer_skip", "this family reads one layer of its text encoders here")
        elif index == 0:
            result.put("clip_skip", 1 + max(0, skip))
    if result.get("lr.text_encoder_2") == result.get("lr.text_encoder"):
        result.values["lr"].pop("text_encoder_2", None)
    denoiser.tell_rest(words.PART)


def _read_optimizer(optimizer: Settings, result: Imported) -> None:
    name = optimizer.value("optimizer", text, "ADAMW")
    known = words.OPTIMIZERS.get(name.lower())
    if known is None:
        optimizer.drop("optimizer", "this optimizer is not there; AdamW stands in")
        known = "adamw"
    result.put("optimizer.name", known)
    decay = optimizer.value("weight_decay", number, words.WEIGHT_DECAY.get(known, 0.0))
    given: dict[str, Any] = {"weight_decay": decay}
    betas = [optimizer.value("beta1", number, 0.9), optimizer.value("beta2", number, 0.999)]
    if any(optimizer.table.get(key) is not None for key in ("beta1", "beta2")) and known != "adafactor":
        given["betas"] = betas
    if known == "prodigy" and optimizer.table.get("d_coef") is not None:
        given["d_coef"] = optimizer.value("d_coef", number, 1.0)
    if known == "adafactor":
        given["relative_step"] = optimizer.value("relative_step", flag, False)
    read_optimizer_arguments(known, given, result)
    # NOTE: a saved configuration holds every option of every optimizer; those that are left change nothing here.


def _read_schedule(config: Settings, result: Imported) -> None:
    name = config.value("learning_rate_scheduler", text, "CONSTANT")
    known = words.SCHEDULES.get(name.lower())
    cycles = config.value("learning_rate_cycles", number, 1.0)
    if name == "COSINE_WITH_RESTARTS":
        config.drop("learning_rate_scheduler", "its waves go up again; one that falls, without restarts, stands in")
    elif known is None:
        config.drop("learning_rate_scheduler", "this learning-rate schedule is not there; cosine stands in")
    averages = OPTIMIZERS[result.get("optimizer.name")].averages
    result.put("schedule.name", "constant" if averages else known or "cosine")
    if known == "cosine_with_restarts" and not averages:
        result.put("schedule.cycles", max(1, round(cycles)))
    config.drop("custom_learning_rate_scheduler", "code is not taken over")
    least = config.value("learning_rate_min_factor", number, 0.0)
    if least:
        config.drop("learning_rate_min_factor", "rates fall to 0 here")
    warmup = config.value("learning_rate_warmup_steps", number, 200.0)
    accumulate = config.take("gradient_accumulation_steps", "accumulate", at_least_one, 1)
    result.put("schedule.warmup", int(warmup / accumulate) if warmup > 1 else min(warmup, 0.999))


def _read_length(config: Settings, result: Imported) -> None:
    config.take("epochs", "epochs", at_least_one, 100)
    config.take("batch_size", "batch_size", at_least_one, 1)
    config.take("clip_grad_norm", "max_grad_norm", number, 1.0)
    unit = config.value("save_every_unit", text, "NEVER").lower()
    every = config.value("save_every", whole, 0)
    if unit in words.UNITS and every > 0:
        result.put("save_every", f"{every} {words.UNITS[unit]}")
    elif unit not in ("never", "always") and every > 0:
        config.drop("save_every", f"{every} {unit}: epochs, steps and minutes are known here")
    if config.value("ema", text, "OFF") != "OFF":
        # It looks every so many steps; here every step counts.
        interval = max(1, config.value("ema_update_step_interval", whole, 5))
        result.put("average.kind", "ema")
        result.put("average.decay", config.value("ema_decay", number, 0.999) ** (1 / interval))
    if config.value("validation", flag, False):
        config.drop("validation", "what is held out is set here by validation.share")


def _read_loss(config: Settings, result: Imported) -> None:
    strengths = {key: config.value(key, number, float(key == "mse_strength")) for key in words.LOSSES}
    chosen = max(strengths, key=lambda key: strengths[key])
    result.put("loss.kind", words.LOSSES[chosen])
    for key, strength in strengths.items():
        if strength and key != chosen:
            config.drop(key, f"one loss is learnt by here: {words.LOSSES[chosen]}")
    if chosen == "huber_strength":
        config.drop("huber_delta", "huber turns from square to size by loss.huber_c here")
    weights = config.value("loss_weight_fn", text, "CONSTANT")
    strength = config.value("loss_weight_strength", number, 5.0)
    older = config.value("min_snr_gamma", number, 0.0)  # of configurations before their seventh version
    result.put("loss.min_snr_gamma", strength if weights == "MIN_SNR_GAMMA" else older)
    result.put("loss.debiased", weights == "DEBIASED_ESTIMATION")
    result.put("loss.p2_gamma", strength if weights == "P2" else 0.0)
    if weights not in ("CONSTANT", "MIN_SNR_GAMMA", "DEBIASED_ESTIMATION", "P2"):
        config.drop("loss_weight_fn", "these weights are not there; all timesteps weigh the same")
    masked = config.value("masked_training", flag, False)
    result.put("loss.mask", "files" if masked else "none")
    if masked:
        config.take("unmasked_weight", "loss.mask_outside", number, 0.1)
        config.take("normalize_masked_area_loss", "loss.mask_renormalise", flag, False)
    result.put("preserve.kind", "none")


def _read_noise(config: Settings, result: Imported, family: Family | None) -> None:
    config.take("offset_noise_weight", "noise.offset", number, 0.0)
    if config.value("perturbation_noise_weight", number, 0.0):
        config.drop("perturbation_noise_weight", "it is part of what is learnt there, of the input alone here")
    config.take("rescale_noise_scheduler_to_zero_terminal_snr", "noise.zero_terminal_snr", flag, False)
    if config.value("force_v_prediction", flag, False):
        result.put("prediction", "v_prediction")
    if config.value("force_epsilon_prediction", flag, False):
        result.put("prediction", "epsilon")
    low, high = config.value("min_noising_strength", number, 0.0), config.value("max_noising_strength", number, 1.0)
    result.put("timesteps.min", int(1000 * low))
    result.put("timesteps.max", int(1000 * high))
    kind = config.value("timestep_distribution", text, "UNIFORM")
    weight, bias = config.value("noising_weight", number, 0.0), config.value("noising_bias", number, 0.0)
    normal = kind == "LOGIT_NORMAL"
    result.put("timesteps.sampling", "logit_normal" if normal else "uniform")
    if normal:
        result.put("timesteps.mean", bias)
        result.put("timesteps.std", 1.0 + weight)
    elif kind != "UNIFORM":
        config.drop("timestep_distribution", "these times are not there; all times alike stand in")
    shift: float | str = config.value("timestep_shift", number, 1.0)
    if config.value("dynamic_timestep_shifting", flag, False):
        shift = "size" if family is not None and family.objective == "flow" else 1.0
    result.put("timesteps.shift", shift)


def _read_shown(config: Settings, result: Imported) -> None:
    given = config.value("resolution", _resolutions, [[512, 512]])
    largest = max(given, key=lambda size: size[0] * size[1])
    result.put("resolution", largest)
    if len(given) > 1:
        config.drop("resolution", f"one size is trained at here; the largest, {'x'.join(map(str, largest))}, is taken")
    config.take("aspect_ratio_bucketing", "bucket.enabled", flag, True)
    result.notes.append("Captions, mirroring and repeats are set with its concepts, which are not read.")


def _resolutions(value: Any) -> list[list[int]]:
    """``512``, ``512x768``, or several with commas between."""
    found = [sides(each.strip()) for each in str(value).split(",")]
    if not all(side > 0 for each in found for side in each):
        raise ValueError
    return found
