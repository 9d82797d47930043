"""Before the first step: latents, masks and pictures that preserve the base, ready to make rows of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lorasmith.bases.base import Base
from lorasmith.bases.doodle import world
from lorasmith.bases.tag_space import random_prompts, read_tag_space
from lorasmith.events import Note, Work
from lorasmith.project import EMBEDDED, Project
from lorasmith.recipe.recipe import Recipe
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.inputs.augmentation import FreshLatents
from lorasmith.training.inputs.class_images import encode_class_images
from lorasmith.training.inputs.latents import Latents, cache_latents
from lorasmith.training.inputs.masks import MaskSource
from lorasmith.training.inputs.preservation import PriorPictures
from lorasmith.training.inputs.reading import Inputs
from lorasmith.training.rows.source import RowSource
from lorasmith.training.steps.validation import Validation

PLAIN_PROMPTS = 256


def make_validation(project: Project, recipe: Recipe, inputs: Inputs, base: Base) -> Work[Validation | None]:
    """What tells the loss on the held-out images; None without any."""
    held_out = inputs.held_out
    if not held_out:
        return None
    latents = yield from cache_latents(held_out, base, project.cache / "latents", flips=False)
    return Validation(base, recipe, held_out, latents)


def make_rows(
    project: Project, recipe: Recipe, inputs: Inputs, base: Base, conditioner: Conditioner
) -> Work[RowSource]:
    """Cache the latents, draw what shall be preserved; what rows are made of then lies ready."""
    images, augment = inputs.trained, recipe.augment
    latents: Latents
    if augment.colour or augment.random_crop:
        latents = FreshLatents(base, colour=augment.colour, random_crop=augment.random_crop)
    else:
        latents = yield from cache_latents(images, base, project.cache / "latents", flips=recipe.flip)
    cut = sum(conditioner.is_cut(image.caption) for image in images)
    if cut:
        yield Note(f"{cut} captions are longer than the tokens that are read; the rest is cut.", "warning")
    pool = _plain_prompts(recipe, base)
    prior = yield from _draw_prior(project, recipe, inputs, base, pool)
    return RowSource(
        recipe,
        latents,
        base.parametrisation,
        pool=pool,
        prior=prior,
        masks=None
        if recipe.loss.mask == "none"
        else MaskSource(factor=base.vae_factor, outside=recipe.loss.mask_outside),
    )


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

    prompts = pool or [image.plain for image in inputs.trained]
    sizes = [bucket.size for bucket in inputs.plan.buckets]
    count = -(-table.pictures // len(sizes))
    folder = project.cache / "prior"
    return (yield from draw_prior(base, prompts, sizes, count, table.steps, recipe.seed, folder))
