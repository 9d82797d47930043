"""`lorasmith plan`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from lorasmith.dataset.reading import Dataset
    from lorasmith.project import Project
    from lorasmith.recipe.plan import Plan
    from lorasmith.recipe.recipe import Recipe

Source = Literal["a run", "a rehearsal", "a guess"]
REHEARSED_SECONDS = 60.0
"""Recipes whose few steps take longer by a guess are rehearsed when that is asked for alone."""
_STEPS = 4


def command(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path("."),
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A recipe value to try, e.g. --set resolution=768. Can be repeated."
        ),
    ] = None,
    rehearse: Annotated[
        bool | None,
        typer.Option(
            "--rehearse/--no-rehearse",
            help="Time a few real steps on noise. By default where no run with this algorithm has shown the pace yet, "
            "and it takes seconds.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as one JSON document.")] = False,
) -> None:
    """Show what training will do: steps, buckets, time, memory.

    Example: lorasmith plan my-lora --set resolution=768 --set epochs=10
    """
    from lorasmith.bases.detection import family_of
    from lorasmith.cli.rendering import print_json, say, show
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.project import open_project
    from lorasmith.recipe.overrides import split_overrides
    from lorasmith.recipe.presets import explain_preset
    from lorasmith.recipe.recipe import read_recipe
    from lorasmith.recipe.validation import hold_out

    opened = open_project(project)
    recipe = read_recipe(opened, split_overrides(assignments or []))
    dataset = show(read_dataset(opened), json=as_json)
    dataset, held = show(hold_out(opened, recipe, dataset), json=as_json)
    plan, source = _plan(opened, recipe, dataset, len(held.items), rehearse, told=not as_json)
    kind, family = opened.lora.subject, family_of(recipe.base)
    reasons = explain_preset(kind, family)
    if as_json:
        told = plan.as_json() | {"time_from": source}
        print_json(told | {"preset": {"kind": kind.value, "family": family, "reasons": list(reasons)}})
    else:
        _print(plan, recipe, source)
        _print_reasons(f"{kind.value} on {family}", reasons)
        say(f"\nnext: lorasmith train {project}")


def _plan(
    project: Project, recipe: Recipe, dataset: Dataset, held: int, rehearse: bool | None, *, told: bool
) -> tuple[Plan, Source]:
    """The plan, and where its time is from."""
    from lorasmith.recipe.estimates import knows_pace, read_opening, read_pace, write_pace
    from lorasmith.recipe.plan import make_plan

    pace, opening = read_pace(project.cache, recipe), read_opening(project.cache, recipe)
    plan = make_plan(recipe, dataset, pace=pace, opening=opening, held=held)
    if rehearse is None:
        rehearse = not knows_pace(project.cache, recipe) and _is_soon_rehearsed(plan, recipe)
    if not rehearse:
        return plan, "a guess" if pace is None else "a run"
    from lorasmith.cli import BEGUN
    from lorasmith.cli.rendering import say
    from lorasmith.training.loop import training_base
    from lorasmith.training.rehearsal import rehearse as time_steps
    from lorasmith.training.unpacking import unpack

    if told:
        say("timing a few steps on noise ...", style="dim")
    base = training_base(recipe)
    opening = time.perf_counter() - BEGUN
    pace = time_steps(unpack(recipe), plan, base, project.root)
    write_pace(project.cache, recipe, pace, opening)
    return make_plan(recipe, dataset, pace=pace, opening=opening, held=held), "a rehearsal"


def _is_soon_rehearsed(plan: Plan, recipe: Recipe) -> bool:
    """Whether the base lies here, and a few steps take seconds by a guess."""
    from lorasmith.project import EMBEDDED
    from lorasmith.recipe.estimates import start_seconds

    here = recipe.base == EMBEDDED or Path(recipe.base).exists()
    few = _STEPS * (plan.seconds - plan.preparing) / plan.steps
    return here and few + start_seconds(recipe) < REHEARSED_SECONDS


def _print(plan: Plan, recipe: Recipe, source: Source) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    table = Table("bucket", "images", "batches per epoch", box=None, header_style="bold", padding=(0, 2))
    for bucket in plan.buckets:
        table.add_row(f"{bucket.size[0]} x {bucket.size[1]}", str(bucket.images), str(bucket.batches))
    console.print(table)
    rows = sum(image.repeats for image in plan.images)
    solved = f", repeats multiplied by {plan.factor} to come close to {recipe.target_steps} steps" * (plan.factor > 1)
    console.print(f"\nan epoch    {len(plan.images)} images seen {rows} times{solved}")
    console.print(
        f"steps       {plan.steps} ({plan.epochs} epochs of {plan.steps_per_epoch}; "
        f"batches of {recipe.batch_size}, {recipe.accumulate} a step)"
    )
    console.print(f"adapter     {recipe.algorithm}, rank {recipe.rank}, alpha {recipe.alpha:g}, base {recipe.base}")
    console.print(f"cut away    {100 * plan.cropped:.1f} % of the resized pixels")
    console.print(f"snapshots   {plan.snapshots}, one every {recipe.save_every}; {plan.disk / 1e6:.0f} MB on disk")
    console.print(f"time        about {_span(plan.seconds)}, {_span(plan.preparing)} of them until the first step")
    console.print(f"            {_TOLD[source]}")
    console.print(f"memory      about {plan.bytes / 1e9:.1f} GB")


_TOLD = {
    "a run": "(by the pace of the last run or rehearsal here)",
    "a rehearsal": "(by a few steps on noise, timed just now)",
    "a guess": "(a guess: this machine's pace is not known yet; --rehearse times a few steps)",
}


def _print_reasons(preset: str, reasons: Sequence[str]) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.print(f"\nthe preset (a {preset}), unless the project says otherwise:")
    for reason in reasons:
        console.print(f"  - {reason}")


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
