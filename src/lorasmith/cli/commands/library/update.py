"""`lorasmith library update`."""

from __future__ import annotations

from typing import Annotated

import typer

from lorasmith.cli.commands.library.arguments import find_entries, open_library
from lorasmith.cli.program import program
from lorasmith.cli.rendering import print_json, say, show


def update(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Only these; all from hubs if none.", show_default=False),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Ask for what was asked half a day ago, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell newer versions of what came from hubs, and what is gone there. Nothing is fetched.

    Example: lorasmith library update
    """
    from lorasmith.library.hubs.newer import look_for_newer

    with open_library() as index:
        entries = [entry for name in names for entry in find_entries(index, name)] if names else None
        told = show(look_for_newer(index, again=again or bool(names), entries=entries), json=as_json)
    if as_json:
        print_json(told.as_json())
        return
    for newer in told.newer:
        other = "" if newer.same_base else f", for {newer.version.base}"
        guarded = f", {newer.version.guarded}" if newer.version.guarded else ""
        say(
            f"{newer.path.name}: {newer.facts.version or 'yours'} -> {newer.version.version or newer.version.published}"
            f" of {newer.version.published}{other}{guarded}: {program()} library get {newer.version.reference}"
        )
    for path, facts in told.gone:
        say(f"{path.name}: {facts.name} is not on its hub any more; keep your file.", style="yellow")
    say(f"{told.asked} asked for: {len(told.newer)} have a newer version, {len(told.gone)} are gone.", style="bold")
