"""Probing before a run: the short sweep, what its held-out images say, and the run's recipe with what has won."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lorasmith.errors import Stopped, TrainingError
from lorasmith.events import Note, Work
from lorasmith.project import Project
from lorasmith.remedies import Action, Do

if TYPE_CHECKING:
    from lorasmith.recipe.recipe import Recipe
    from lorasmith.recipe.sweep import Variant


def probe_rates(project: Project, recipe: Recipe, overrides: Mapping[str, str]) -> Work[Recipe]:
    """Try the recipe's rates, half and twice of them, for a quarter of the run's steps; the recipe with the best.

    The sweep lies in the project's cache, by its recipes and images: interrupted, the same call goes on with it, and
    one that is complete is not done again. Raises what `train_sweep` raises, and TrainingError when there are too few
    images to hold any out.
    """
    from lorasmith.recipe.probe import FACTORS, choose_variant, probe_variants, probed_recipe
    from lorasmith.training.inputs.reading import read_inputs
    from lorasmith.training.loop import train_sweep

    inputs = yield from read_inputs(project, [recipe])
    variants = probe_variants(project, recipe, inputs[0].plan.steps, overrides)
    folder = project.cache / "probes" / _name(variants, inputs[0].fingerprint)
    yield Note(f"probing: {len(variants)} learning rates, {variants[0].recipe.target_steps} steps each.")
    try:
        done = yield from train_sweep(project, variants, run=folder, resume=(folder / "sweep.json").exists())
    except Stopped as stop:
        again = Do(Action.TRAIN, project=project.root, probe=True)
        raise Stopped(stop.message, where=stop.where, hint="Go on with the same settings:", remedy=again) from None
    losses = {name: _validated(Path(made["run"])) for name, made in done.variants.items()}
    told = {name: loss for name, loss in losses.items() if loss is not None}
    if not told:
        raise TrainingError(
            "there are too few images to hold any out: nothing tells which rate is best.", where=project.root
        )
    name = choose_variant(told)
    marks = ", ".join(f"{FACTORS[each]:g} x {loss / base:.3f}" for each, (loss, base) in told.items())
    rate = f"{recipe.lr.unet * FACTORS[name]:g}"
    yield Note(f"probed: loss on held-out images over the base's own: {marks}; the run takes lr.unet = {rate}.")
    return probed_recipe(project, recipe, name, overrides)


def _name(variants: Sequence[Variant], images: str) -> str:
    from lorasmith.recipe.recipe import write_recipe

    text = json.dumps([images, *(write_recipe(variant.recipe) for variant in variants)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _validated(run: Path) -> tuple[float, float] | None:
    """The last loss on held-out images in a run's log, and the base's."""
    events = [json.loads(line) for line in (run / "events.jsonl").read_text("utf-8").splitlines()]
    found = [(event["loss"], event["base"]) for event in events if event["event"] == "validation"]
    return found[-1] if found else None
