"""lorasmith new"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lorasmith.cli.program import program, typed
from lorasmith.project import SubjectKind


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new project's folder.", show_default=False)],
    more_images: Annotated[
        list[Path] | None, typer.Argument(metavar="SRC", help="More sources, as after --images.")
    ] = None,
    subject: Annotated[SubjectKind, typer.Option(help="What is learnt.")] = SubjectKind.CHARACTER,
    name: Annotated[
        str | None, typer.Option(help="The adapter's name. [default: the folder's]", show_default=False)
    ] = None,
    trigger: Annotated[
        str | None,
        typer.Option(help="The word that calls it in a prompt. [default: the name in lower case]", show_default=False),
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="SRC...",
            help="Where the images are: a folder (also N_name folders, of gallery-dl, or with a metadata table), an "
            "image, a training zip, kohya's dataset.toml, a video, a URL (s3://...).",
            show_default=False,
        ),
    ] = None,
    encoding: Annotated[
        str,
        typer.Option(metavar="NAME", help="How captions and tables that are not UTF-8 are encoded: cp1252, utf-16."),
    ] = "",
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Take what links that lead out of a folder lead to, too.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a project: a lora.toml beside a folder of images.

    The images and their captions are copied; the originals stay untouched. Where each is from is kept in sources.jsonl.

    Example: lorasmith new my-lora --subject character --trigger zbk --images ~/Pictures/zbk
    """
    from lorasmith.cli.left_out import show_left_out
    from lorasmith.cli.rendering import print_json, say, show
    from lorasmith.dataset.create import IMAGES, create_project
    from lorasmith.dataset.encodings import check_encoding
    from lorasmith.dataset.folders import printable
    from lorasmith.dataset.sources.source import SourceOptions

    sources = [source.expanduser() for source in [*(images or []), *(more_images or [])]]
    options = SourceOptions(follow_links, check_encoding(encoding))
    work = create_project(folder, subject=subject, name=name, trigger=trigger, sources=sources, options=options)
    created = show(work, json)
    project, ingested = created.project, created.ingested
    if json:
        print_json(
            {
                "project": printable(str(project.root)),
                "file": printable(str(project.file)),
                "images": ingested.images,
                "captions": ingested.captions,
                "class_images": ingested.class_images,
                "trigger": project.lora.trigger,
                "left_out": [{"name": one.name, "message": one.message} for one in ingested.left_out],
            }
        )
        return
    shown, there = typed(printable(str(folder))), printable(str(project.root / IMAGES))
    say(f"Made {printable(str(project.file))}", style="green")
    if ingested.images:
        say(f"{_number(ingested.images, 'image')}, {_number(ingested.captions, 'caption')} in {there}")
        say("The originals were not touched.")
    else:
        say(f"Now put your images into {there}")
    show_left_out(ingested.left_out)
    say(
        f"\nNext:\n"
        f"  {program()} inspect {shown}    what the images lack\n"
        f"  {program()} tag {shown}        the captions, and what shaped them\n"
        f"  {program()} train {shown}      train the adapter\n"
        f"  {program()} add {shown} --images SRC    more images, any time"
    )


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
