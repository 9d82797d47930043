"""`lorasmith compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    project: Annotated[Path, typer.Argument(help="Folder of the project.", show_default=False)],
    one: Annotated[Path, typer.Argument(help="An adapter file.", show_default=False)],
    other: Annotated[Path, typer.Argument(help="Another one.", show_default=False)],
    pairs: Annotated[int, typer.Option("--pairs", min=1, max=500, help="Pairs of pictures.")] = 20,
    strength: Annotated[float, typer.Option("--strength", min=0.0, max=4.0, help="Of both adapters.")] = 1.0,
    events: Annotated[bool, typer.Option("--events", help="One event a line on stdout, for programs.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One document on stdout; which is which is not told.")
    ] = False,
) -> None:
    """Compare two adapters blind: which is which is told at the end.

    The pairs are drawn here and answered in the studio's Exam screen. A comparison that was stopped goes on.

    Example: lorasmith compare my-lora runs/1/snapshots/a.safetensors runs/1/a.safetensors
    """
    from lorasmith.cli.rendering import print_json, say, show
    from lorasmith.exam.blind import compare
    from lorasmith.project import open_project

    opened = open_project(project)
    made = show(compare(opened, one, other, pairs=pairs, strength=strength), json=as_json, json_events=events)
    if events:
        print_json({"event": "done", "comparison": made.folder.name}, indent=None)
    elif as_json:
        print_json(made.as_json())
    else:
        say(f"{made.drawn} pairs: {made.folder}")
        say("next:    answer them in the studio, Exam, Blind comparison")
