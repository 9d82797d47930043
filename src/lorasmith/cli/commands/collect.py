"""lorasmith collect"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lorasmith.cli.program import program, typed


def command(
    address: Annotated[str, typer.Argument(metavar="URL", help="A gallery's web address.", show_default=False)],
    into: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the images.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Fetch images from a web gallery, with source and licence.

    gallery-dl does it, as a program of its own that you install; your settings of it hold. Ask whether you may use
    what you fetch: the author and the licence are kept with every image as far as the site tells them.

    Example: lorasmith collect https://example.org/gallery/1 --into pictures
    """
    from lorasmith.cli.rendering import print_json, say, show
    from lorasmith.dataset.collecting import collect
    from lorasmith.dataset.folders import printable

    collected = show(collect(address, into.expanduser()), json)
    folder = printable(str(collected.folder))
    if json:
        print_json({"folder": folder, "new": collected.new, "images": collected.images, "licensed": collected.licensed})
        return
    say(f"{collected.new} new, {collected.images} images in {folder}", style="green")
    unknown = collected.images - collected.licensed
    if unknown:
        say(f"The site tells no licence of {unknown} of them: ask the author before you train.", style="yellow")
    say(f"\nNext: {program()} new my-lora --images {typed(folder)}")
