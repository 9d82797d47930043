"""lorasmith new"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
        typer.Option(metavar="SRC...", help="Folders or images to copy, with their .txt captions.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a project: a lora.toml beside a folder of images.

    The images and their captions are copied; the originals stay untouched.

    Example: lorasmith new my-lora --subject character --trigger zbk --images ~/Pictures/zbk
    """
    from lorasmith.cli.rendering import print_json, say, show
    from lorasmith.dataset.folders import find_files
    from lorasmith.dataset.founding import IMAGES, found_project

    sources = [source.expanduser() for source in [*(images or []), *(more_images or [])]]
    project = show(found_project(folder, subject=subject, name=name, trigger=trigger, sources=sources), json)
    copied = project.root / IMAGES
    count = len(find_files(copied).images)
    if json:
        document = {"project": project.root, "file": project.file, "images": count, "trigger": project.lora.trigger}
        print_json(document)
        return
    say(f"Made {project.file}", style="green")
    if count:
        say(f"{count} {'image' if count == 1 else 'images'} in {copied}; the originals were not touched.")
    else:
        say(f"Now put your images into {copied}")
    say(
        f"\nNext:\n"
        f"  lorasmith inspect {folder}    what the images lack\n"
        f"  lorasmith tag {folder}        the captions, and what shaped them\n"
        f"  lorasmith train {folder}      train the adapter"
    )
