"""lorasmith add"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lorasmith.cli.program import program, typed


def command(
    project: Annotated[Path, typer.Argument(help="The project's folder.", show_default=False)],
    more_images: Annotated[
        list[Path] | None, typer.Argument(metavar="SRC", help="More sources, as after --images.")
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="SRC...",
            help="Where the images are: a folder, an image, a training zip, kohya's dataset.toml, a video.",
            show_default=False,
        ),
    ] = None,
    into: Annotated[
        str, typer.Option(metavar="FOLDER", help='The folder inside the images, such as "2_supporting".')
    ] = "",
    encoding: Annotated[
        str,
        typer.Option(metavar="NAME", help="How captions and tables that are not UTF-8 are encoded: cp1252, utf-16."),
    ] = "",
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Take what links that lead out of a folder lead to, too.")
    ] = False,
    captions: Annotated[
        bool,
        typer.Option(
            "--captions",
            help="Of pictures that are there already, take the captions in place of theirs, which are kept in build/.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Add images to a project, with their captions and their source.

    They are copied; nothing that is there is changed, unless with --captions, and what the project has already is left
    out.

    Example: lorasmith add my-lora --images ~/Pictures/more --into 2_supporting
    """

    from lorasmith.cli.left_out import show_left_out
    from lorasmith.cli.rendering import count_images, print_json, say, show
    from lorasmith.dataset.adding import add_images
    from lorasmith.dataset.encodings import check_encoding
    from lorasmith.dataset.sources.source import SourceOptions
    from lorasmith.project import open_project

    opened = open_project(project)
    sources = [source.expanduser() for source in [*(images or []), *(more_images or [])]]
    options = SourceOptions(follow_links, check_encoding(encoding))
    ingested = show(add_images(opened, sources, into=into, options=options, captions=captions), json)
    if json:
        print_json(
            {
                "project": str(opened.root),
                "images": ingested.images,
                "captions": ingested.captions,
                "added": [one.name for one in ingested.provenance],
                "left_out": [{"name": one.name, "message": one.message} for one in ingested.left_out],
            }
            | ({"captions_replaced": [one.item.name for one in ingested.mended]} if captions else {})
        )
        return
    came = f"{ingested.captions} caption{'' if ingested.captions == 1 else 's'}"
    say(f"{count_images(ingested.images)}, {came} came in.", style="green")
    say("The originals were not touched.")
    show_left_out(ingested.left_out)
    say(f"\nNext:\n  {program()} inspect {typed(project)}    what the images lack now")
