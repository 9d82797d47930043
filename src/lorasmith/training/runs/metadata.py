"""What an adapter file says of its own making: sd-scripts' `ss_*` facts and modelspec, from a run's values."""

from __future__ import annotations

import base64
import io
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lorasmith import __version__
from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.header import build_header, modelspec, network_facts
from lorasmith.bases.base import Base
from lorasmith.dataset.folders import class_words
from lorasmith.images.opening import open_rgb
from lorasmith.optimizers.rates import RateSchedule
from lorasmith.project import Project
from lorasmith.recipe.recipe import Recipe
from lorasmith.tags.words import split_tags
from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.inputs.reading import Inputs

THUMBNAIL_SIDE = 256
PRIVATE_KEYS = (
    "ss_v2",
    "ss_base_model_version",
    "ss_network_module",
    "ss_network_dim",
    "ss_network_alpha",
    "ss_network_args",
)
"""What sd-scripts writes even when it is told to write no metadata."""


@dataclass(frozen=True)
class Making:
    """What a run's files tell alike; `name` is the adapter's."""

    project: Project
    recipe: Recipe
    inputs: Inputs
    base: Base
    name: str


@dataclass(frozen=True)
class Progress:
    """What a file tells of the moment when it was saved; `thumbnail` is a data URL or ""."""

    step: int
    epoch: int
    started_at: float
    session: str
    optimizer: str
    thumbnail: str


def current_time() -> float:
    """Seconds since the epoch; SOURCE_DATE_EPOCH stands in for the clock, so that files can be reproduced."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    return float(fixed) if fixed.isdigit() else time.time()


def describe_adapter(making: Making, adapter: Adapter, progress: Progress) -> dict[str, str]:
    """The metadata of an adapter file.

    A private one tells what sd-scripts tells without metadata, and of modelspec what a reader needs to use it.
    """
    if making.recipe.private:
        return _private_facts(making, adapter)
    finished_at = current_time()
    facts = network_facts(adapter, making.base) | _run_facts(making, progress, finished_at) | _dataset_facts(making)
    provenance = making.project.provenance
    card = modelspec(
        making.base,
        title=making.project.lora.name,
        when=datetime.fromtimestamp(finished_at, UTC),
        trigger=making.project.lora.trigger,
        size=making.recipe.resolution,
        thumbnail=progress.thumbnail,
        author=provenance.author,
        description=making.project.lora.vision,
        license=provenance.licence,
        tags=making.project.lora.subject.value,
        usage_hint=f"{making.project.lora.trigger} <lora:{making.name}:0.8>",
        timestep_range=f"{making.recipe.timesteps.min},{making.recipe.timesteps.max}",
        encoder_layer=str(making.recipe.clip_skip) if making.base.family.reads_clip_skip else "",
        implementation_version=f"lorasmith/{__version__}",
    )
    return build_header(facts) | card


def _private_facts(making: Making, adapter: Adapter) -> dict[str, str]:
    facts = network_facts(adapter, making.base)
    arguments = (_conv_arguments(making.recipe) if making.recipe.conv.rank else {}) | _form(making.recipe)
    kept = {key: value for key, value in facts.items() if key in PRIVATE_KEYS} | {"ss_network_args": arguments}
    card = modelspec(
        making.base,
        title=making.project.lora.name,
        when=datetime.fromtimestamp(0, UTC),
        trigger=making.project.lora.trigger,
        size=making.recipe.resolution,
    )
    return build_header(kept) | {key: value for key, value in card.items() if key != "modelspec.date"}


def make_thumbnail(picture: Path) -> str:
    """A picture as a small JPEG data URL."""
    image = open_rgb(picture)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _form(recipe: Recipe) -> dict[str, str]:
    """What lycoris would have been told besides rank and alpha."""
    args: dict[str, str] = {}
    words = ALGORITHMS[recipe.algorithm].kohya
    if not words.module or recipe.dora or recipe.conv.tucker or recipe.norms:
        args["algo"] = words.algo or recipe.algorithm
    own = words.tell(recipe.options)
    args |= {key: str(value) for key, value in own.items() if key != "decompose_both"}
    flags = (
        ("dora_wd", recipe.dora),
        ("rs_lora", recipe.rank_stabilised),
        ("use_tucker", recipe.conv.tucker),
        ("train_norm", recipe.norms),
    )
    return args | {key: "True" for key, flag in flags if flag}


def _conv_arguments(recipe: Recipe) -> dict[str, str]:
    return {"conv_dim": str(recipe.conv.rank), "conv_alpha": f"{recipe.conv.alpha or recipe.alpha:g}"}


def _run_facts(making: Making, progress: Progress, finished_at: float) -> dict[str, Any]:
    recipe, plan = making.recipe, making.inputs.plan
    schedule = RateSchedule(recipe.schedule.name, plan.steps, recipe.schedule.warmup)
    noise, loss = recipe.noise, recipe.loss
    dropout = recipe.dropout
    return {
        "ss_session_id": progress.session,
        "ss_training_started_at": progress.started_at,
        "ss_training_finished_at": finished_at,
        "ss_training_comment": f"lorasmith {__version__}",
        "ss_sd_scripts_commit_hash": None,
        "ss_output_name": making.name,
        "ss_network_args": (_conv_arguments(recipe) if recipe.conv.rank else {}) | _form(recipe),
        "ss_network_dropout": dropout.network or None,
        "ss_learning_rate": recipe.lr.unet,
        "ss_unet_lr": recipe.lr.unet,
        "ss_text_encoder_lr": recipe.lr.text_encoder,
        "ss_optimizer": progress.optimizer,
        "ss_lr_scheduler": recipe.schedule.name,
        "ss_lr_warmup_steps": schedule.warmup_steps,
        "ss_max_grad_norm": recipe.max_grad_norm,
        "ss_num_train_images": sum(image.repeats for image in plan.images),
        "ss_num_validation_images": len(making.inputs.held_out),
        "ss_num_reg_images": 0,
        "ss_num_batches_per_epoch": sum(bucket.batches for bucket in plan.buckets),
        "ss_num_epochs": plan.epochs,
        "ss_max_train_steps": plan.steps,
        "ss_steps": progress.step,
        "ss_epoch": progress.epoch,
        "ss_gradient_checkpointing": recipe.checkpointing,
        "ss_gradient_accumulation_steps": recipe.accumulate,
        "ss_batch_size_per_device": recipe.batch_size,
        "ss_total_batch_size": recipe.batch_size * recipe.accumulate,
        "ss_mixed_precision": "no",
        "ss_full_fp16": False,
        "ss_clip_skip": recipe.clip_skip,
        "ss_max_token_length": recipe.caption.max_tokens if recipe.caption.max_tokens > 75 else None,
        "ss_cache_latents": True,
        "ss_seed": recipe.seed,
        "ss_lowram": False,
        "ss_noise_offset": noise.offset or None,
        "ss_noise_offset_random_strength": noise.offset_random,
        "ss_multires_noise_iterations": noise.multires_iterations or None,
        "ss_multires_noise_discount": noise.multires_discount if noise.multires_iterations else None,
        "ss_adaptive_noise_scale": noise.offset_adaptive or None,
        "ss_zero_terminal_snr": noise.zero_terminal_snr,
        "ss_caption_dropout_rate": recipe.caption.dropout,
        "ss_caption_dropout_every_n_epochs": recipe.caption.dropout_every,
        "ss_caption_tag_dropout_rate": recipe.caption.tag_dropout,
        "ss_face_crop_aug_range": None,
        "ss_prior_loss_weight": recipe.preserve.weight,
        "ss_min_snr_gamma": loss.min_snr_gamma or None,
        "ss_scale_weight_norms": recipe.max_weight_norm or None,
        "ss_ip_noise_gamma": noise.ip_gamma or None,
        "ss_ip_noise_gamma_random_strength": noise.ip_random,
        "ss_debiased_estimation": loss.debiased,
        "ss_loss_type": loss.kind,
        "ss_huber_schedule": loss.huber_schedule,
        "ss_huber_scale": loss.huber_scale,
        "ss_huber_c": loss.huber_c,
    }


def _dataset_facts(making: Making) -> dict[str, Any]:
    recipe, rules = making.recipe, making.recipe.bucket_rules
    images = making.inputs.trained
    counts: dict[str, Counter[str]] = {}
    directories: dict[str, dict[str, int]] = {}
    for folder, image in zip(name_folders(images), images, strict=True):
        counts.setdefault(folder, Counter()).update(tag.lower() for tag in split_tags(image.caption))
        directory = directories.setdefault(folder, {"n_repeats": image.repeats, "img_count": 0})
        directory["img_count"] += 1
    return {
        "ss_resolution": str(recipe.resolution),
        "ss_enable_bucket": recipe.bucket.enabled,
        "ss_bucket_no_upscale": recipe.bucket.no_upscale,
        "ss_min_bucket_reso": rules.smallest,
        "ss_max_bucket_reso": rules.largest,
        "ss_bucket_info": _bucket_info(images) if recipe.bucket.enabled else None,
        "ss_color_aug": recipe.augment.colour,
        "ss_flip_aug": recipe.flip,
        "ss_random_crop": recipe.augment.random_crop,
        "ss_shuffle_caption": recipe.caption.shuffle,
        "ss_keep_tokens": recipe.caption.keep_tokens,
        "ss_dataset_dirs": directories,
        "ss_reg_dataset_dirs": {},
        "ss_tag_frequency": {folder: dict(count.most_common()) for folder, count in counts.items()},
    }


def _bucket_info(images: Sequence[TrainingImage]) -> Mapping[str, Any]:
    rows = Counter(image.bucket for image in images for _ in range(image.repeats))
    sizes = [(image.original or image.bucket, image.bucket) for image in images]
    errors = [abs(size[0] / size[1] - bucket[0] / bucket[1]) for size, bucket in sizes]
    buckets = {str(number): {"resolution": list(size), "count": rows[size]} for number, size in enumerate(sorted(rows))}
    return {"buckets": buckets, "mean_img_ar_error": sum(errors) / len(errors)}


def name_folders(images: Sequence[TrainingImage]) -> list[str]:
    """The folder of each image; one whose images have different repeats counts as an `N_name` folder for each."""
    names = [_folder_name(image) for image in images]
    repeats: dict[str, set[int]] = {}
    for name, image in zip(names, images, strict=True):
        repeats.setdefault(name, set()).add(image.repeats)
    return [
        f"{image.repeats}_{class_words(name) or name}" if len(repeats[name]) > 1 else name
        for name, image in zip(names, images, strict=True)
    ]


def _folder_name(image: TrainingImage) -> str:
    """The name of the folder that holds the image; nothing above it leaves the user's machine."""
    return image.folder or image.path.parent.name
