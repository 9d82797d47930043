"""Folders that the library knows, and looking through them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lorasmith.cli.commands.library.arguments import AsJson
from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import print_json, say, show
from lorasmith.errors import UsageError


def scan(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDER]...", help="Folders to know from now on; all known ones if none.", show_default=False
        ),
    ] = None,
    hashes: Annotated[bool, typer.Option("--hashes/--no-hashes", help="Read whole files for their hashes.")] = True,
    again: Annotated[bool, typer.Option("--again", help="Read every header anew, changed or not.")] = False,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="After which a disk that is silent is left.")
    ] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Look through folders of adapters and bases; new, moved and lost files are told.

    Headers are read first, so that files can be found at once; then whole files, for their hashes. It may be stopped at
    any time and goes on where it was. A folder that is away (a disk that is not there) is no deletion.

    Example: lorasmith library scan ~/stable-diffusion-webui/models/Lora ~/ComfyUI/models/loras
    """
    from lorasmith.library.index import LibraryIndex

    with LibraryIndex.open() as library:
        for folder in folders or ():
            library.add_folder(folder)
        known = library.folders()
        if not known:
            raise UsageError("no folder to look through.", hint=f"Name one: {program()} library scan FOLDER")
        report = show(library.scan(hashes=hashes, patience=patience, again=again), as_json)
    if as_json:
        print_json(report.as_json() | {"folders": list(map(str, known))})
        return
    counts = {
        "new": report.new,
        "changed": report.changed,
        "moved": report.moved,
        "gone": report.gone,
        "broken": report.broken,
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    where = "1 folder" if len(known) == 1 else f"{len(known)} folders"
    say(f"{report.files} files in {where}{f': {told}' if told else ''}.")
    if report.hashed or report.unhashed:
        waiting = f", {report.unhashed} have none yet" if report.unhashed else ""
        say(f"{report.hashed} hashes told{waiting}.")
    for away, reason in report.away:
        say(f"away: {typed(away)} {reason}", "yellow")
    if report.broken:
        say(f"next:    {program()} library list --broken    what cannot be used, and why")
    say(f"next:    {program()} library search WORDS")
