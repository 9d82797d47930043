"""`lorasmith train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lorasmith.events import SweepDone
    from lorasmith.project import Project
    from lorasmith.recipe.sweep import Variant


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
    as_json: Annotated[bool, typer.Option("--json", help="One event a line on stdout; the last is done.")] = False,
) -> None:
    """Train the adapter; stop it any time, go on with --resume.

    Example: lorasmith train my-lora --set rank=8 --set lr.unet=4e-4
    """
    from lorasmith.cli.rendering import say, show
    from lorasmith.errors import ProjectError
    from lorasmith.project import open_project
    from lorasmith.recipe.overrides import split_overrides
    from lorasmith.recipe.recipe import read_recipe

    opened = open_project(project)
    overrides = split_overrides(assignments or [])
    if sweep and not opened.table("sweep"):
        raise ProjectError("there is no [sweep] table.", where=opened.file, hint="For example: [sweep] rank = [4, 8]")
    folder = None if run is None else run.resolve()
    if sweep is not False and opened.table("sweep"):
        from lorasmith.recipe.sweep import read_sweep

        _train_sweep(opened, read_sweep(opened, overrides), resume, folder, as_json)
        return
    recipe = read_recipe(opened, overrides)

    from lorasmith.training.loop import train
    from lorasmith.training.steps.process_group import is_first

    done = show(train(opened, recipe, resume=resume, run=folder), json_events=as_json)
    if not as_json and is_first():
        say(f"adapter: {done.adapter}")
        say(f"next:    lorasmith exam {project}")


def _train_sweep(project: Project, variants: list[Variant], resume: bool, folder: Path | None, as_json: bool) -> None:
    from lorasmith.cli.rendering import show
    from lorasmith.training.loop import train_sweep
    from lorasmith.training.steps.process_group import is_first

    done = show(train_sweep(project, variants, resume=resume, run=folder), json_events=as_json)
    if not as_json and is_first():
        _say_sweep(done, project.root)


def _say_sweep(done: SweepDone, root: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from lorasmith.cli.rendering import say

    table = Table("variant", "loss", "adapter", box=None)
    for name, made in sorted(done.variants.items(), key=lambda item: float(item[1]["loss"])):
        table.add_row(name, f"{made['loss']:.4f}", Path(made["adapter"]).name)
    for name, why in done.failed.items():
        table.add_row(name, "-", why, style="yellow")
    Console(highlight=False, soft_wrap=True).print(table)
    say(f"sweep:   {done.run}")
    best = next(iter(done.variants.values()), None)
    if best is not None:
        say(f"next:    lorasmith exam {best['adapter']}    (a low loss is no verdict; the exam of {root.name} is)")
