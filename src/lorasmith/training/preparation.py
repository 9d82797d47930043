"""Before the first step: latents, masks and pictures that preserve the base, ready to make rows of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lorasmith.bases.base import Base
from lorasmith.bases.doodle import world
from lorasmith.bases.tag_space import random_prompts, read_tag_space
from lorasmith.bases.text.counting import warn_of_cut
from lorasmith.events import Work
from lorasmith.project import EMBEDDED, Project
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.inputs.augmentation import FreshLatents
from lorasmith.training.inputs.class_images import encode_class_images
from lorasmith.training.inputs.latents import Latents, cache_latents
from lorasmith.training.inputs.masks import MaskSource
from lorasmith.training.inputs.preservation import PriorPictures
from lorasmith.training.inputs.reading import Inputs
from lorasmith.training.rows.source import RowSource
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.validation import Validation

PLAIN_PROMPTS = 256


def make_validation(project: Project, settings: RunSettings, inputs: Inputs, base: Base) -> Work[Validation | None]:
    """What measures the loss on the held-out images; None without any."""
    held_out = inputs.held_out
    if not held_out:
        return None
    latents = yield from cache_latents(held_out, base, project.cache / "latents", flips=False)
    return Validation(base, settings, held_out, latents)


def cache_texts(conditioner: Conditioner, inputs: Sequence[Inputs], rows: Sequence[RowSource]) -> Work[None]:
    """Encode every text that steps and validation will ask for; the text encoders then leave the device."""
    texts: list[str] = []
    for each, source in zip(inputs, rows, strict=True):
        texts += source.texts(each.trained)
        texts += (image.caption for image in each.held_out)
    yield from conditioner.cache(texts)


def make_rows(
    project: Project, settings: RunSettings, inputs: Inputs, base: Base, conditioner: Conditioner
) -> Work[RowSource]:
    """Cache the latents, draw what shall be preserved; what rows are made of then lies ready."""
    images, asked = inputs.trained, settings.inputs
    latents: Latents
    if not asked.cached:
        latents = FreshLatents(base, colour=asked.colour, random_crop=asked.random_crop)
    else:
        latents = yield from cache_latents(images, base, project.cache / "latents", flips=asked.flip)
    cut = [image.name for image in images if conditioner.is_cut(image.caption)]
    yield from warn_of_cut(cut, settings.text, base.family)
    pool = _plain_prompts(settings, base)
    prior = yield from _draw_prior(project, settings, inputs, base, pool)
    return RowSource(
        settings.rows,
        latents,
        base.parametrisation,
        pool=pool,
        prior=prior,
        masks=None if asked.mask_outside is None else MaskSource(factor=base.vae_factor, outside=asked.mask_outside),
    )


def _plain_prompts(settings: RunSettings, base: Base) -> tuple[str, ...]:
    """Prompts to preserve: the recipe's, or random ones of the embedded base's world."""
    table = settings.inputs.preserve
    if table.prompts or not table.any or base.name != EMBEDDED:
        return table.prompts
    return random_prompts(read_tag_space(world()), PLAIN_PROMPTS, settings.seed)


def _draw_prior(
    project: Project, settings: RunSettings, inputs: Inputs, base: Base, pool: Sequence[str]
) -> Work[PriorPictures | None]:
    table = settings.inputs.preserve
    if table.folder is not None:
        sizes = [bucket.size for bucket in inputs.plan.buckets]
        folder = project.root / Path(table.folder).expanduser()
        captions = {image.caption for image in inputs.images}
        return (yield from encode_class_images(base, folder, sizes, table.pictures, settings.seed, captions))
    if not table.draws:
        return None
    from lorasmith.training.inputs.prior import draw_prior

    prompts = pool or [image.plain for image in inputs.trained]
    sizes = [bucket.size for bucket in inputs.plan.buckets]
    count = -(-table.pictures // len(sizes))
    folder = project.cache / "prior"
    return (yield from draw_prior(base, prompts, sizes, count, table.steps, settings.seed, folder))
