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
from lorasmith.adapters.header import build_header, modelspec, network_facts
from lorasmith.bases.base import Base
from lorasmith.bases.hardware import precision_of
from lorasmith.dataset.folders import class_words
from lorasmith.images.opening import open_rgb
from lorasmith.optimizers.rates import RateSchedule
from lorasmith.project import Project
from lorasmith.recipe.exchange.kohya.header import recipe_facts
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
"""What sd-scripts writes even when it shall write no metadata."""


@dataclass(frozen=True)
class Making:
    """What a run's files say alike; `name` is the adapter's."""

    project: Project
    recipe: Recipe
    inputs: Inputs
    base: Base
    name: str


@dataclass(frozen=True)
class SavedAt:
    """What a file says of the moment when it was saved; `thumbnail` is a data URL or "", `class_images` how many there
    are in which folder."""

    step: int
    epoch: int
    started_at: float
    session: str
    optimizer: str
    class_images: Mapping[str, int]
    thumbnail: str


def current_time() -> float:
    """Seconds since the epoch; SOURCE_DATE_EPOCH stands in for the clock, so that files can be reproduced."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    return float(fixed) if fixed.isdigit() else time.time()


def describe_adapter(making: Making, adapter: Adapter, saved: SavedAt) -> dict[str, str]:
    """The metadata of an adapter file.

    A private one says what sd-scripts says without metadata, and of modelspec what a reader needs to use it.
    """
    if making.recipe.private:
        return _private_facts(making, adapter)
    finished_at = current_time()
    facts = network_facts(adapter, making.base) | recipe_facts(making.recipe)
    facts |= _run_facts(making, saved, finished_at) | _dataset_facts(making)
    provenance = making.project.provenance
    card = modelspec(
        making.base,
        title=making.project.lora.name,
        when=datetime.fromtimestamp(finished_at, UTC),
        trigger=making.project.lora.trigger,
        size=making.recipe.resolution,
        thumbnail=saved.thumbnail,
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
    facts = network_facts(adapter, making.base) | recipe_facts(making.recipe)
    kept = {key: value for key, value in facts.items() if key in PRIVATE_KEYS}
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


def _run_facts(making: Making, saved: SavedAt, finished_at: float) -> dict[str, Any]:
    recipe, plan = making.recipe, making.inputs.plan
    schedule = RateSchedule(recipe.schedule.name, plan.steps, recipe.schedule.warmup)
    numbers = precision_of(making.base.dtype)
    skip = {} if making.base.family.reads_clip_skip else {"ss_clip_skip": None}
    return skip | {
        "ss_session_id": saved.session,
        "ss_training_started_at": saved.started_at,
        "ss_training_finished_at": finished_at,
        "ss_training_comment": f"lorasmith {__version__}",
        "ss_sd_scripts_commit_hash": None,
        "ss_output_name": making.name,
        "ss_optimizer": saved.optimizer,
        "ss_lr_warmup_steps": schedule.warmup_steps,
        "ss_num_train_images": sum(image.repeats for image in plan.images),
        "ss_num_validation_images": len(making.inputs.held_out),
        "ss_num_reg_images": sum(saved.class_images.values()),
        "ss_reg_dataset_dirs": {
            folder: {"n_repeats": 1, "img_count": count} for folder, count in saved.class_images.items()
        },
        "ss_num_batches_per_epoch": sum(bucket.batches for bucket in plan.buckets),
        "ss_num_epochs": plan.epochs,
        "ss_max_train_steps": plan.steps,
        "ss_steps": saved.step,
        "ss_epoch": saved.epoch,
        "ss_mixed_precision": "no" if numbers == "fp32" else numbers,
        "ss_full_fp16": False,
        "ss_cache_latents": not (recipe.augment.colour or recipe.augment.random_crop),
        "ss_lowram": False,
        "ss_face_crop_aug_range": None,
    }


def _dataset_facts(making: Making) -> dict[str, Any]:
    images = making.inputs.trained
    counts: dict[str, Counter[str]] = {}
    directories: dict[str, dict[str, int]] = {}
    for folder, image in zip(name_folders(images), images, strict=True):
        counts.setdefault(folder, Counter()).update(tag.lower() for tag in split_tags(image.caption))
        directory = directories.setdefault(folder, {"n_repeats": image.repeats, "img_count": 0})
        directory["img_count"] += 1
    return {
        "ss_bucket_info": _bucket_info(images) if making.recipe.bucket.enabled else None,
        "ss_dataset_dirs": directories,
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
