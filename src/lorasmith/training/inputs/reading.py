"""What a run is trained on: the dataset, its captions and plan, and the rows made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorasmith.bases.base import Base
from lorasmith.bases.doodle import world
from lorasmith.bases.tag_space import random_prompts, read_tag_space
from lorasmith.dataset.reading import Dataset, read_dataset
from lorasmith.errors import DatasetError
from lorasmith.events import Note, Work
from lorasmith.project import EMBEDDED, Project
from lorasmith.recipe.estimates import read_opening, read_pace
from lorasmith.recipe.plan import Plan, PlannedImage, make_plan
from lorasmith.recipe.recipe import Recipe
from lorasmith.recipe.validation import hold_out
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.words import without_trigger
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.inputs.augmentation import FreshLatents
from lorasmith.training.inputs.class_images import encode_class_images
from lorasmith.training.inputs.latents import Latents, cache_latents
from lorasmith.training.inputs.masks import MaskSource
from lorasmith.training.inputs.preservation import PriorPictures
from lorasmith.training.rows.source import RowSource
from lorasmith.training.steps.validation import Validation

PLAIN_PROMPTS = 256


@dataclass(frozen=True)
class Held:
    """Images that are held out, as they would be trained; their captions and content hashes."""

    images: tuple[PlannedImage, ...]
    captions: tuple[str, ...]
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class Inputs:
    """What is trained on: `captions` by image number of the plan; `fingerprint` of all of it."""

    dataset: Dataset
    plan: Plan
    captions: tuple[str, ...]
    fingerprint: str
    held: Held | None = None


def read_inputs(project: Project, recipes: Sequence[Recipe]) -> Work[list[Inputs]]:
    """Read the dataset, write its captions and plan a run for each recipe. Raises DatasetError, RefusedError."""
    provenance = project.provenance
    if provenance.real_person and not provenance.consent:
        yield Note("[provenance] consent is empty: an adapter of a real person needs theirs.", "warning")
    elif not provenance.source:
        yield Note("[provenance] source is empty: say where the images come from.", "warning")
    dataset = yield from read_dataset(project)
    captioning = write_captions(project, dataset)
    missing = [item.name for item in dataset.items if item.name not in captioning.captions]
    if missing:
        raise DatasetError(f"no caption for {missing[0]}" + (f" and {len(missing) - 1} more." if missing[1:] else "."))
    inputs = []
    for recipe in recipes:
        trained, held = yield from hold_out(project, recipe, dataset)
        inputs.append(_plan(project, recipe, trained, held, captioning.captions))
    return inputs


def _plan(project: Project, recipe: Recipe, dataset: Dataset, held: Dataset, texts: Mapping[str, str]) -> Inputs:
    captions = tuple(texts[item.name] for item in dataset.items)
    pace, opening = read_pace(project.cache, recipe), read_opening(project.cache, recipe)
    plan = make_plan(recipe, dataset, pace=pace, opening=opening, held=len(held.items))
    facts = [
        (image.name, item.facts.sha256, image.repeats, image.bucket, image.resized, caption, *(image.crop or ()))
        for image, item, caption in zip(plan.images, dataset.items, captions, strict=True)
    ]
    fingerprint = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    if not held.items:
        return Inputs(dataset, plan, captions, fingerprint)
    out = Held(
        make_plan(recipe, held).images,
        tuple(texts[item.name] for item in held.items),
        tuple(item.facts.sha256 for item in held.items),
    )
    return Inputs(dataset, plan, captions, fingerprint, out)


def make_validation(project: Project, recipe: Recipe, inputs: Inputs, base: Base) -> Work[Validation | None]:
    """What tells the loss on the held-out images; None without any."""
    held = inputs.held
    if held is None:
        return None
    latents = yield from cache_latents(held.images, held.hashes, base, project.cache / "latents", flips=False)
    return Validation(base, recipe, held.images, held.captions, latents)


def make_rows(
    project: Project, recipe: Recipe, inputs: Inputs, base: Base, conditioner: Conditioner
) -> Work[RowSource]:
    """Cache the latents, draw what shall be preserved; what rows are made of then lies ready."""
    images, augment = inputs.plan.images, recipe.augment
    latents: Latents
    if augment.colour or augment.random_crop:
        latents = FreshLatents(images, base, colour=augment.colour, random_crop=augment.random_crop)
    else:
        hashes = [item.facts.sha256 for item in inputs.dataset.items]
        latents = yield from cache_latents(images, hashes, base, project.cache / "latents", flips=recipe.flip)
    cut = sum(conditioner.is_cut(caption) for caption in inputs.captions)
    if cut:
        yield Note(f"{cut} captions are longer than the tokens that are read; the rest is cut.", "warning")
    pool = _plain_prompts(recipe, base)
    prior = yield from _draw_prior(project, recipe, inputs, base, pool)
    return RowSource(
        recipe,
        images,
        inputs.captions,
        latents,
        trigger=project.lora.trigger,
        pool=pool,
        prior=prior,
        masks=_find_masks(project, recipe, inputs, base),
    )


def _find_masks(project: Project, recipe: Recipe, inputs: Inputs, base: Base) -> MaskSource | None:
    table = recipe.loss
    if table.mask == "none":
        return None
    folder = project.root / Path(table.mask_folder).expanduser() if table.mask == "files" else None
    return MaskSource(inputs.plan.images, folder, factor=base.vae_factor, outside=table.mask_outside)


def _plain_prompts(recipe: Recipe, base: Base) -> tuple[str, ...]:
    """Prompts to preserve: the recipe's, or random ones of the embedded base's world."""
    table = recipe.preserve
    if table.prompts or table.kind == "none" or base.name != EMBEDDED:
        return table.prompts
    return random_prompts(read_tag_space(world()), PLAIN_PROMPTS, recipe.seed)


def _draw_prior(
    project: Project, recipe: Recipe, inputs: Inputs, base: Base, pool: Sequence[str]
) -> Work[PriorPictures | None]:
    table = recipe.preserve
    if table.kind == "images":
        sizes = [bucket.size for bucket in inputs.plan.buckets]
        folder = project.root / Path(table.folder).expanduser()
        return (yield from encode_class_images(base, folder, sizes, table.pictures, recipe.seed))
    if not table.draws:
        return None
    from lorasmith.training.inputs.prior import draw_prior

    prompts = pool or [without_trigger(caption, project.lora.trigger) for caption in inputs.captions]
    sizes = [bucket.size for bucket in inputs.plan.buckets]
    count = -(-table.pictures // len(sizes))
    folder = project.cache / "prior"
    return (yield from draw_prior(base, prompts, sizes, count, table.steps, recipe.seed, folder))
