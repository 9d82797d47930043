"""`lorasmith demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Option("--out", help="Folder for the project and the results.")] = Path(
        "lorasmith-demo"
    ),
    example: Annotated[
        str, typer.Option("--example", help="Which shipped example: character, style or concept.")
    ] = "character",
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """The whole road in one command, on the shipped example.

    Inspects, captions, plans, trains, examines; some minutes on two cores. Stop it at any time: the same command
    goes on where it was.

    Example: lorasmith demo --out my-demo
    """
    from lorasmith.cli.commands.exam import tell_figures
    from lorasmith.cli.rendering import print_json, say, show
    from lorasmith.demo import run_demo

    demo = show(run_demo(out, example), json=as_json)
    if as_json:
        print_json(demo.as_json())
        return
    say("")
    say(demo.document["verdict"], style="bold")
    tell_figures(demo.document["figures"])
    say("")
    for word, path in (("adapter", demo.adapter), ("grid", demo.grid), ("report", demo.report)):
        say(f"{word + ':':<9}{path}")
    say("")
    say("Open the report first. Then try:", style="bold")
    for step in demo.next_steps():
        say(f"  {step}")
