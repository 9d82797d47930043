"""`lorasmith library identify`."""

from __future__ import annotations

from typing import Annotated

import typer

from lorasmith.cli.commands.library.arguments import find_entries, open_library
from lorasmith.cli.rendering import print_json, say, show


def identify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Only these; all without a label if none.", show_default=False),
    ] = None,
    sidecars: Annotated[
        bool, typer.Option("--sidecars/--no-sidecars", help="Write what it says beside the files, where nothing is.")
    ] = True,
    previews: Annotated[bool, typer.Option("--previews", help="Fetch previews where there are none.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Ask for those that it did not know, too.")] = False,
    mature: Annotated[bool, typer.Option("--mature", help="List and show what the hub calls mature, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Ask Civitai by hash what the files are that nobody labelled.

    A hundred files a request; what is stopped goes on where it was.

    Example: lorasmith library identify
    """
    from lorasmith.library.hubs.civitai import open_civitai
    from lorasmith.library.hubs.labelling import Labelling, label_files

    with open_library() as index, open_civitai() as hub:
        entries = [entry for name in names for entry in find_entries(index, name)] if names else None
        options = Labelling(sidecars, previews, mature)
        labelled = show(label_files(index, hub, options, entries=entries, again=again), json=as_json)
    if as_json:
        print_json(labelled.as_json())
        return
    for path, version in labelled.found:
        triggers = f"  triggers: {'; '.join(version.triggers[:3])}" if version.triggers else ""
        say(f"{path.name}: {version.name}, {version.version} ({version.base}){triggers}")
    say(f"{labelled.asked} asked for: {len(labelled.found)} known, {labelled.unknown} unknown.", style="bold")
    if labelled.mature and not mature:
        say(f"{labelled.mature} of what the hub knows is mature; --mature lists it.")
    if labelled.refused:
        say(f"{labelled.refused} refused: the hub's words combine minors with sexual content.", style="yellow")
