"""Reading what a run is trained on: the dataset with its captions, placed as the recipe plans it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorasmith.dataset.reading import Dataset, read_dataset
from lorasmith.errors import DatasetError
from lorasmith.events import Note, Work
from lorasmith.project import Project
from lorasmith.recipe.estimates import read_opening, read_pace
from lorasmith.recipe.plan import Plan, PlannedImage, check_drawn_sizes, make_plan
from lorasmith.recipe.recipe import Recipe
from lorasmith.recipe.validation import hold_out
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.refusal import refuse_images
from lorasmith.tags.words import without_trigger
from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.inputs.masks import find_mask


@dataclass(frozen=True)
class Inputs:
    """What a run is trained on: its images, those that are held out last; `fingerprint` of all that is learnt."""

    images: tuple[TrainingImage, ...]
    plan: Plan
    fingerprint: str

    @property
    def trained(self) -> tuple[TrainingImage, ...]:
        return tuple(image for image in self.images if not image.held_out)

    @property
    def held_out(self) -> tuple[TrainingImage, ...]:
        return tuple(image for image in self.images if image.held_out)


def read_inputs(project: Project, recipes: Sequence[Recipe]) -> Work[list[Inputs]]:
    """Read the dataset, write its captions and plan a run for each recipe. Raises DatasetError, RecipeError,
    RefusedError."""
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
        beside = (*recipe.sample.prompts, *recipe.preserve.prompts)  # drawn with what is learnt, or learnt beside it
        refuse_images({name: [text] for name, text in captioning.captions.items()}, beside, project.root)
        trained, held = yield from hold_out(project, recipe, dataset)
        inputs.append(_place(project, recipe, trained, held, captioning.captions))
    return inputs


def _place(project: Project, recipe: Recipe, dataset: Dataset, held: Dataset, captions: Mapping[str, str]) -> Inputs:
    pace, opening = read_pace(project.cache, recipe), read_opening(project.cache, recipe)
    plan = make_plan(recipe, dataset, pace=pace, opening=opening, held=len(held.items))
    check_drawn_sizes(recipe, plan)
    masks = project.root / Path(recipe.loss.mask_folder).expanduser() if recipe.loss.mask == "files" else None
    trained = _join(project, plan.images, dataset, captions, masks)
    out = _join(project, make_plan(recipe, held).images, held, captions, None, held_out=True) if held.items else []
    facts = [
        (image.name, image.sha256, image.repeats, image.bucket, image.resized, image.caption, *(image.crop or ()))
        for image in trained
    ]
    return Inputs((*trained, *out), plan, hashlib.sha256(json.dumps(facts).encode()).hexdigest())


def _join(
    project: Project,
    planned: Sequence[PlannedImage],
    dataset: Dataset,
    captions: Mapping[str, str],
    masks: Path | None,
    *,
    held_out: bool = False,
) -> list[TrainingImage]:
    """What is known of each image, put together; the plan keeps the dataset's order."""
    return [
        TrainingImage(
            **vars(image),
            sha256=item.facts.sha256,
            caption=captions[item.name],
            plain=without_trigger(captions[item.name], project.lora.trigger),
            folder=item.folder,
            mask=None if masks is None else find_mask(masks, image),
            held_out=held_out,
        )
        for image, item in zip(planned, dataset.items, strict=True)
    ]
