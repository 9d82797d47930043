"""A probe: a short sweep over the learning rates before a run, so that they are found and not guessed.

The variants train a part of the run's steps each, side by side, while some images are held out; the rate whose adapter
predicts these best against the bare base is the run's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorasmith.dataset.reading import Dataset
from lorasmith.errors import RecipeError
from lorasmith.events import Work
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.project import Project
from lorasmith.recipe.estimates import read_opening, read_pace
from lorasmith.recipe.overrides import write_value
from lorasmith.recipe.plan import make_plan
from lorasmith.recipe.recipe import Recipe, read_recipe
from lorasmith.recipe.sweep import Variant
from lorasmith.recipe.validation import hold_out

FACTORS: Mapping[str, float] = {"half": 0.5, "preset": 1.0, "double": 2.0}
"""What the recipe's rates are multiplied by, by the variant's name."""
SHARE = 0.25
"""The part of the run's steps that each variant takes."""
HELD_OUT = 0.15
SWEPT = "a probe is for a run by itself, and [sweep] asks for several."
LEAST_STEPS = 20


@dataclass(frozen=True)
class ProbeCost:
    """What a probe costs before the run: its variants, the steps of each, and all their seconds."""

    variants: int
    steps: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {"variants": self.variants, "steps": self.steps, "seconds": round(self.seconds, 1)}


def probe_variants(project: Project, recipe: Recipe, steps: int, overrides: Mapping[str, str]) -> list[Variant]:
    """The variants of a probe for a run of `steps` steps by this recipe, which `overrides` were set for.

    Raises RecipeError for an optimizer that finds its rate itself.
    """
    check_probed(recipe)
    count = max(LEAST_STEPS, round(SHARE * steps))
    overrides = {key: value for key, value in overrides.items() if key != "epochs"}
    fixed: dict[str, Any] = {
        "target_steps": count,
        "validation.share": max(HELD_OUT, recipe.validation.share),
        "validation.every": f"{count} steps",
        "save_every": f"{count} steps",
        "sample.prompts": [],
    }
    return [
        Variant(name, read_recipe(project, {**overrides, **_written(fixed | scaled_rates(recipe, factor))}))
        for name, factor in FACTORS.items()
    ]


def check_probed(recipe: Recipe) -> None:
    """Raise RecipeError for an optimizer that finds its rate itself."""
    if OPTIMIZERS[recipe.optimizer.name].one_rate:
        raise RecipeError(f"{recipe.optimizer.name} finds its rate itself: there is nothing to probe.")


def scaled_rates(recipe: Recipe, factor: float) -> dict[str, float]:
    """The recipe's learning rates times `factor`, by their keys."""
    rates = recipe.lr
    found = {"lr.unet": rates.unet, "lr.text_encoder": rates.text_encoder}
    if rates.text_encoder_2 is not None:
        found["lr.text_encoder_2"] = rates.text_encoder_2
    return {key: float(f"{rate * factor:.6g}") for key, rate in found.items()}


def probed_recipe(project: Project, recipe: Recipe, name: str, overrides: Mapping[str, str]) -> Recipe:
    """The run's recipe with the rates of the variant that has won."""
    return read_recipe(project, {**overrides, **_written(scaled_rates(recipe, FACTORS[name]))})


def probe_cost(project: Project, variants: list[Variant], dataset: Dataset) -> Work[ProbeCost]:
    """What these variants take together; what precedes the first step is counted once."""
    steps, seconds = 0, 0.0
    for number, variant in enumerate(variants):
        recipe = variant.recipe
        trained, held = yield from hold_out(project, recipe, dataset)
        pace, opening = read_pace(project.cache, recipe), read_opening(project.cache, recipe)
        plan = make_plan(recipe, trained, pace=pace, opening=opening, held=len(held.items))
        steps, seconds = plan.steps, seconds + plan.seconds - (plan.preparing if number else 0.0)
    return ProbeCost(len(variants), steps, seconds)


def choose_variant(losses: Mapping[str, tuple[float, float]]) -> str:
    """The name with the lowest loss on held-out images, as a share of the base's own; by name (loss, the base's).

    The recipe's own rates stay unless another is better by more than a hundredth: less is noise. Raises ValueError
    without any.
    """
    shares = {name: loss / base for name, (loss, base) in losses.items()}
    best = min(shares, key=lambda name: shares[name])
    return "preset" if shares.get("preset", float("inf")) <= 1.01 * shares[best] else best


def _written(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: write_value(value) for key, value in values.items()}
