"""`lorasmith publish`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lorasmith.cli.commands.card import LicenceOption, NameOption, ShowcaseOption, Target


def command(
    target: Target = Path("."),
    to: Annotated[
        str,
        typer.Option("--to", metavar="DIR|hf:OWNER/NAME", help="A new folder, or a repository.", show_default=False),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it is uploaded.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Make a repository that only you see.")] = False,
    showcase: ShowcaseOption = None,
    licence: LicenceOption = "",
    name: NameOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Pack an adapter with its card, or upload it to Hugging Face.

    What will be public is shown, and nothing is uploaded without a yes. Without a licence, or without the consent of a
    real person, nothing is published. For Civitai: paste civitai.html of the folder, and add its pictures.

    Example: lorasmith publish my-lora --to hf:me/my-lora
    """
    from lorasmith.cli.rendering import print_json, say, show
    from lorasmith.errors import UsageError
    from lorasmith.face.cards import make_card
    from lorasmith.library.cards.publishing import check_publication, tell_publication, upload
    from lorasmith.library.cards.writing import pack_card
    from lorasmith.library.hubs.references import HUGGING_FACE, read_reference

    if not to:
        raise UsageError("--to: where?", hint="A new folder, or hf:OWNER/NAME.")
    reference = read_reference(to) if ":" in to and not Path(to).exists() else None
    if reference is not None and reference.hub != HUGGING_FACE:
        raise UsageError(f"{to}: nothing can be uploaded there.", hint="Pack it (--to DIR), then paste civitai.html.")
    publication = check_publication(make_card(target, showcase or (), licence, name))
    if reference is None:
        files = pack_card(publication.card, Path(to))
        if as_json:
            print_json({"files": files, "warnings": list(publication.warnings)})
            return
        for line in tell_publication(publication, to):
            say(line)
        say(f"packed: {len(files)} files in {to}", style="green")
        return
    if not as_json:
        for line in tell_publication(publication, str(reference) + (", private" if private else ", for everybody")):
            say(line)
    if not yes and not (sys.stdin.isatty() and not as_json and typer.confirm("Upload it?")):
        raise UsageError("not uploaded: nobody said yes.", hint="Look at what will be public, then give --yes.")
    address = show(upload(publication, reference, private=private), json=as_json)
    if as_json:
        print_json({"address": address, "warnings": list(publication.warnings)})
    else:
        say(f"published: {address}", style="green")
