"""`lorasmith plan`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.program import program, typed

if TYPE_CHECKING:
    from lorasmith.face.stages import TimeSource
    from lorasmith.recipe.plan import Plan
    from lorasmith.recipe.recipe import Recipe


def command(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path("."),
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A recipe value to try, e.g. --set resolution=768. Can be repeated."
        ),
    ] = None,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse/--no-rehearse",
            help="Time a few real steps on noise, about ten seconds of them; without, the pace of the last run here.",
        ),
    ] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Tell what `train --probe` costs before the run, too.")
    ] = False,
    memory: Annotated[
        float | None,
        typer.Option(
            "--memory", min=1, help="GB (2^30 bytes) of the GPU that it shall fit; without, what is found here."
        ),
    ] = None,
    gpu: Annotated[
        str, typer.Option("--gpu", metavar="NAME", help="The GPU that it shall fit, e.g. L4; instead of --memory.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as one JSON document.")] = False,
) -> None:
    """Show what training will do: steps, buckets, time, memory.

    Example: lorasmith plan my-lora --set resolution=768 --set epochs=10
    """
    from lorasmith.cli import BEGUN
    from lorasmith.cli.rendering import print_json, say, show
    from lorasmith.face.stages import plan_training
    from lorasmith.project import open_project
    from lorasmith.recipe.cards import find_card
    from lorasmith.recipe.memory import how_it_fits
    from lorasmith.recipe.overrides import split_overrides

    named = find_card(gpu).memory if gpu else None
    opened, settings = open_project(project), split_overrides(assignments or [])
    planned = show(plan_training(opened, settings, rehearse=rehearse, begun=BEGUN, probe=probe), as_json)
    plan, recipe, source = planned.plan, planned.recipe, planned.time_from
    fit = how_it_fits(recipe, plan.pixels, _card(memory, named))
    if as_json:
        print_json(planned.as_json() | {"card": None if fit is None else fit.as_json()})
    else:
        _print(plan, recipe, source)
        if fit is not None and not fit.fits:
            say(f"            more than a card of {fit.card / 2**30:.0f} GB has; {_help(fit.switches)}")
        if planned.probe is not None:
            cost = planned.probe
            say(
                f"probe       about {_span(cost.seconds)} more: {cost.variants} learning rates, {cost.steps} steps each"
            )
        kind, family, reasons = planned.preset
        _print_reasons(f"{kind} on {family}", reasons)
        say(f"\nnext: {program()} train {typed(project)}")


def _card(gigabytes: float | None, named: int | None) -> int | None:
    """Bytes of the card that is meant; None where that is not known."""
    from lorasmith.recipe.memory import detected_card

    if named is not None:
        return named
    return detected_card() if gigabytes is None else int(gigabytes * 2**30)


def _print(plan: Plan, recipe: Recipe, source: TimeSource) -> None:
    from rich.table import Table

    from lorasmith.cli.console import open_console

    console = open_console()
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
    held = plan.memory
    learned = held.adapter + held.gradients + held.optimizer
    console.print(
        f"memory      about {plan.bytes / 1e9:.1f} GB: weights {(held.denoiser + held.text + held.vae) / 1e9:.1f}, "
        f"activations {held.activations / 1e9:.1f}, adapter and optimizer {learned / 1e9:.1f}"
        + (f"; {held.host / 1e9:.1f} GB wait in the host's memory" if held.host else "")
        + (f"; {held.reading / 1e9:.1f} GB while texts are read" if held.reading else "")
    )


def _help(switches: Mapping[str, Any] | None) -> str:
    from lorasmith.recipe.overrides import write_value

    if switches is None:
        return "no switch makes it fit: a smaller resolution would"
    return "it fits with " + ", ".join(f"{key} = {write_value(value)}" for key, value in switches.items())


_TOLD = {
    "a run": "(by the pace of the last run or rehearsal here)",
    "a rehearsal": "(by a few steps on noise, timed just now)",
    "a guess": "(a guess: this machine's pace is not known yet; --rehearse times a few steps)",
}


def _print_reasons(preset: str, reasons: Sequence[str]) -> None:
    from lorasmith.cli.console import open_console

    console = open_console()
    console.print(f"\nthe preset (a {preset}), unless the project says otherwise:")
    for reason in reasons:
        console.print(f"  - {reason}")


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
