"""`lorasmith train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.program import program, typed

if TYPE_CHECKING:
    from lorasmith.events import SweepDone


def command(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path("."),
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A recipe value for this run, e.g. --set rank=8. Can be repeated."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that was started last.")] = False,
    sweep: Annotated[
        bool | None,
        typer.Option("--sweep/--no-sweep", help="Train the variants of [sweep]; by default if there is that table."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="FOLDER", help="The run's folder; by default a new one in runs/.")
    ] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="First try half, all and twice the learning rates for a quarter of the steps, side by side, and take "
            "what held-out images like best. `plan --probe` tells what that costs.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line on stdout; the last is done.")] = False,
) -> None:
    """Train the adapter; stop it any time, go on with --resume.

    Example: lorasmith train my-lora --set rank=8 --set lr.unet=4e-4
    """
    from lorasmith.cli.rendering import say, show
    from lorasmith.events import SweepDone
    from lorasmith.face.stages import train_project
    from lorasmith.project import open_project
    from lorasmith.recipe.overrides import split_overrides

    opened = open_project(project)
    folder = None if run is None else run.resolve()
    settings = split_overrides(assignments or [])
    work = train_project(opened, settings, sweep=sweep, resume=resume, run=folder, probe=probe)
    done = show(work, json_events=as_json)
    from lorasmith.training.steps.process_group import is_first

    if as_json or not is_first():
        return
    if isinstance(done, SweepDone):
        _say_sweep(done, opened.root)
        return
    say(f"adapter: {done.adapter}")
    say(f"next:    {program()} exam {typed(project)}")


def _say_sweep(done: SweepDone, root: Path) -> None:
    from rich.table import Table

    from lorasmith.cli.rendering import draw, say

    table = Table("variant", "loss", "adapter", box=None)
    for name, made in sorted(done.variants.items(), key=lambda item: float(item[1]["loss"])):
        table.add_row(name, f"{made['loss']:.4f}", Path(made["adapter"]).name)
    for name, why in done.failed.items():
        table.add_row(name, "-", why, style="yellow")
    draw(table, soft_wrap=True)
    say(f"sweep:   {done.run}")
    best = next(iter(done.variants.values()), None)
    if best is not None:
        say(
            f"next:    {program()} exam {typed(best['adapter'])}    "
            f"(a low loss is no verdict; the exam of {root.name} is)"
        )
