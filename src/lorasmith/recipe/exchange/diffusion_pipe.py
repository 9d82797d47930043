"""diffusion-pipe (tdrussell): its training TOML, read. Facts of its `train.py`, `models` and docs/supported_models.md.

Its file of images is another one, which is not read: sizes, repeats and shuffling are set here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.bases.families.family import Family
from lorasmith.recipe.exchange.contradictions import settle
from lorasmith.recipe.exchange.imported import Imported, at_least_one, flag, number, text, whole
from lorasmith.recipe.exchange.names import find_family, find_optimizer, read_optimizer_arguments
from lorasmith.recipe.exchange.other_trainer import OtherTrainer
from lorasmith.recipe.exchange.settings import NOTHING, Settings

_TRAINER = "diffusion-pipe"
_OPTIMIZERS: Mapping[str, str] = {
    "adamw_optimi": "adamw",
    "adamw8bitkahan": "adamw8bit",
    "offload": "adamw",
    "schedulefreeadamw": "schedule_free",
}
"""Its types that are called otherwise here."""
_WHOLE_RANK = 4096
"""A LoKr of a rank beyond all layers has full factors there; the largest rank here."""
_TECHNICAL = frozenset(
    (
        "output_dir", "eval_datasets", "pipeline_stages", "force_constant_lr", "blocks_to_swap", "eval_every_n_epochs",
        "eval_every_n_steps", "eval_every_n_examples", "eval_before_first_step", "eval_micro_batch_size_per_gpu",
        "image_eval_micro_batch_size_per_gpu", "eval_gradient_accumulation_steps", "disable_block_swap_for_eval",
        "checkpoint_every_n_epochs", "checkpoint_every_n_minutes", "reentrant_activation_checkpointing",
        "partition_method", "partition_split", "save_dtype", "caching_batch_size", "map_num_proc", "compile",
        "steps_per_print", "logging_steps", "video_clip_mode", "x_axis_examples", "monitoring",
        "image_micro_batch_size_per_gpu", "num_dataloader_workers", "resume_from_checkpoint",
    )
)  # fmt: skip
_MODEL = frozenset(
    (
        "dtype", "guidance", "vae", "vae_path", "llm_path", "text_encoders", "llm_adapter_path", "diffusers_path",
        "cache_text_embeddings", "text_encoder_fp8", "text_encoder_nf4",
    )
)  # fmt: skip


def is_config(document: Mapping[str, Any]) -> bool:
    """Whether a document is one of its training files."""
    model = document.get("model")
    return isinstance(model, Mapping) and "type" in model and bool({"optimizer", "adapter"} & document.keys())


def from_config(document: Mapping[str, Any]) -> Imported:
    """A recipe from a training file. Raises RecipeError listing every value that cannot be meant."""
    result = Imported("diffusion-pipe")
    config = Settings(document, result)
    model = config.within("model")
    kind = model.value("type", text, "")
    family = find_family(_TRAINER, kind)
    if family is None:
        model.drop("type", "that family of bases is not trained here")
    else:
        result.notes.append(f"model.type = {kind}: the recipe is one for {family.title}.")
    for key in ("checkpoint_path", "transformer_path", "diffusion_model"):
        model.note(key, "the base is the project's own")
    _read_merged(model, result)
    config.note("dataset", "the images are the project's own; its sizes and shuffling are not read")
    _read_adapter(config, result, family)
    optimizer = config.within("optimizer")
    _read_rates(model, optimizer.value("lr", number, 1e-3), result, family)
    _read_optimizer(optimizer, result)
    _read_schedule(config, result)
    _read_length(config, result)
    _read_loss(config, model, result)
    if family is not None and family.objective == "flow":
        _read_times(model, result)
    result.put("preserve.kind", "none")
    settle(result)
    model.tell_rest(_MODEL)
    config.tell_rest(_TECHNICAL)
    config.check()
    return result


def _read_adapter(config: Settings, result: Imported, family: Family | None) -> None:
    if config.table.get("adapter") is None:
        result.drop("adapter", None, "without one the whole model is trained; a LoRA stands in")
    adapter = config.within("adapter")
    kind = adapter.value("type", text, "lora")
    if kind not in ("lora", "lokr"):
        adapter.drop("type", "this kind of adapter is not trained here; a LoRA stands in")
    result.put("algorithm", "lokr" if kind == "lokr" else "lora")
    rank = adapter.value("rank", at_least_one, 32)
    result.put("rank", min(rank, _WHOLE_RANK) if kind == "lokr" else rank)
    result.put("alpha", float(result.get("rank")))  # always so there
    if kind == "lokr":
        result.put("lokr.full", rank > _WHOLE_RANK)
        adapter.take("decompose_factor", "lokr.factor", whole, -1)
        if adapter.value("rank_dropout", number, 0.0):
            adapter.drop("rank_dropout", "is for plain lora only here")
    adapter.take("dropout", "dropout.network", number, 0.0)
    if adapter.table.get("init_from_existing") not in NOTHING:
        adapter.take("init_from_existing", "init", text, "")
    if family is not None and family.objective == "flow":
        result.notes.append(
            f"diffusion-pipe adapts all linear layers in {family.title}'s blocks, modulation too; here attention, MLP."
        )
    adapter.tell_rest(("dtype", "alpha"))


def _read_merged(model: Settings, result: Imported) -> None:
    """Adapters that act on the base while it is trained on."""
    files = model.table.get("merge_adapters")
    if isinstance(files, list) and len(files) == 1 and isinstance(files[0], str):
        model.taken.add("merge_adapters")
        result.put("training_adapter", files[0])
    else:
        model.drop("merge_adapters", "one training adapter acts here")


def _read_rates(model: Settings, shared: float, result: Imported, family: Family | None) -> None:
    """Rates of the parts: a rate that is not set is the optimizer's."""
    result.put("lr.unet", model.value("unet_lr", number, shared))
    result.put("lr.text_encoder", 0.0)
    if family is None:
        return
    if family.objective == "flow":
        conditioned = len(family.text) > 1
        rate = model.value("llm_adapter_lr", number, shared) if conditioned else 0.0
        if rate:
            result.put("lr.text_encoder_2", rate)
    else:
        first = model.value("text_encoder_1_lr", number, shared)
        second = model.value("text_encoder_2_lr", number, shared)
        result.put("lr.text_encoder", first)
        if second != first:
            result.put("lr.text_encoder_2", second)
    for key in ("transformer_dtype", "diffusion_model_dtype"):
        kept = model.value(key, text, "")
        if kept.startswith("float8"):
            result.put("weights", "fp8")


def _read_optimizer(optimizer: Settings, result: Imported) -> None:
    name = optimizer.value("type", text, "adamw")
    known = _OPTIMIZERS.get(name.lower()) or find_optimizer(name)
    if known is None:
        optimizer.drop("type", "this optimizer is not there; AdamW stands in")
        known = "adamw"
    result.put("optimizer.name", known)
    given: dict[str, Any] = {
        key: value for key, value in optimizer.table.items() if key not in ("type", "lr", "eps", "gradient_release")
    }
    given.setdefault("weight_decay", 0.01 if known in ("adamw8bit",) or name.lower() == "adamw" else 0.0)
    if known == "adafactor":
        given.setdefault("relative_step", False)
    read_optimizer_arguments(known, given, result)
    for key, value in given.items():
        if value not in NOTHING:
            result.drop(optimizer.path(key), value, "has no counterpart here")


def _read_schedule(config: Settings, result: Imported) -> None:
    name = config.value("lr_scheduler", text, "constant")
    if name not in ("constant", "linear", "cosine"):
        config.drop("lr_scheduler", "this learning-rate schedule is not there; constant stands in")
        name = "constant"
    result.put("schedule.name", name)
    config.take("warmup_steps", "schedule.warmup", whole, 0)


def _read_length(config: Settings, result: Imported) -> None:
    """Steps where they are limited: epochs are then set beyond them."""
    epochs, steps = config.value("epochs", at_least_one, 1), config.value("max_steps", whole, 0)
    if steps:
        result.put("target_steps", steps)
        config.note("epochs", "the steps are fewer, and are taken")
    else:
        result.put("epochs", epochs)
    batch = config.value("micro_batch_size_per_gpu", _batch, 1)
    if isinstance(config.table.get("micro_batch_size_per_gpu"), list):
        config.drop("micro_batch_size_per_gpu", f"one batch size is taken for all sizes: {batch}")
    result.put("batch_size", batch)
    config.take("gradient_accumulation_steps", "accumulate", at_least_one, 1)
    config.take("gradient_clipping", "max_grad_norm", number, 1.0)
    config.take("activation_checkpointing", "checkpointing", _switch, False)
    for key, unit in (("save_every_n_epochs", "epochs"), ("save_every_n_steps", "steps")):
        every = config.value(key, whole, 0)
        if every > 0:
            result.put("save_every", f"{every} {unit}")
    config.drop("save_every_n_examples", "snapshots are counted in epochs, steps or minutes here")


def _switch(value: Any) -> bool:
    return value == "unsloth" or flag(value)


def _batch(value: Any) -> int:
    """A number, or pairs of a size and a number, of which the largest size's counts."""
    if isinstance(value, list):
        pairs = [(whole(side), at_least_one(count)) for side, count in value]
        return max(pairs)[1] if pairs else 1
    return at_least_one(value)


def _read_loss(config: Settings, model: Settings, result: Imported) -> None:
    constant = config.value("pseudo_huber_c", number, 0.0)
    if constant:
        result.put("loss.kind", "huber")
        result.put("loss.huber_c", constant)
        result.put("loss.huber_schedule", "constant")
    model.take("min_snr_gamma", "loss.min_snr_gamma", number, 0.0)
    model.take("debiased_estimation_loss", "loss.debiased", flag, False)
    if model.value("v_pred", flag, False):
        result.put("prediction", "v_prediction")
    if config.value("uncond_fraction", number, 0.0):
        config.take("uncond_fraction", "caption.dropout", number, 0.0)


def _read_times(model: Settings, result: Imported) -> None:
    """The times of a flow; `shift` goes before `flux_shift`."""
    method = model.value("timestep_sample_method", text, "logit_normal")
    if method not in ("logit_normal", "uniform"):
        model.drop("timestep_sample_method", "these times are not there; all times alike stand in")
    scale = model.value("sigmoid_scale", number, 1.0)
    if method == "logit_normal":
        result.put("timesteps.sampling", "sigmoid")
        result.put("timesteps.std", scale)
    else:
        result.put("timesteps.sampling", "uniform")
    shift: float | str = model.value("shift", number, 0.0)
    by_size = model.value("flux_shift", flag, False)
    result.put("timesteps.shift", shift or ("size" if by_size else 1.0))


OTHER_TRAINER = OtherTrainer(_TRAINER, "diffusion-pipe's TOML", is_config, from_config)
