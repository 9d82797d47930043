"""`lorasmith train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path("."),
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A recipe value for this run, e.g. --set rank=8. Can be repeated."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that was started last.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line on stdout; the last is done.")] = False,
) -> None:
    """Train the adapter; stop it any time, go on with --resume.

    Example: lorasmith train my-lora --set rank=8 --set lr.unet=4e-4
    """
    from lorasmith.cli.rendering import say, show
    from lorasmith.project import open_project
    from lorasmith.recipe.overrides import split_overrides
    from lorasmith.recipe.recipe import read_recipe

    opened = open_project(project)
    recipe = read_recipe(opened, split_overrides(assignments or []))

    from lorasmith.training.loop import train

    done = show(train(opened, recipe, resume=resume), json_events=as_json)
    if not as_json:
        say(f"adapter: {done.adapter}")
        say(f"next:    lorasmith exam {project}")
