"""`lorasmith card`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[
    Path, typer.Argument(metavar="PROJECT|ADAPTER", help="A project, or an adapter file.", show_default=False)
]
ShowcaseOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--showcase", metavar="DIR", help="A showcase with its pictures; default: the project's.", show_default=False
    ),
]
LicenceOption = Annotated[
    str, typer.Option("--licence", help="Instead of [provenance] licence: CC BY 4.0.", show_default=False)
]
NameOption = Annotated[
    str, typer.Option("--name", help="What calls it in prompts; default: the project's name.", show_default=False)
]


def command(
    target: Target = Path("."),
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Default: card/ beside it.", show_default=False)
    ] = None,
    showcase: ShowcaseOption = None,
    licence: LicenceOption = "",
    name: NameOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a model card for the hubs: figures, limits, pictures.

    README.md for Hugging Face, civitai.html, card.json, A1111's sidecar and preview. Figures are those of this file's
    newest exam, pictures the kept ones of its showcases, the most varied twenty.

    Example: lorasmith card my-lora --out my-lora/card
    """
    from lorasmith.cli.rendering import print_json, say
    from lorasmith.face.cards import make_card
    from lorasmith.library.cards.telling import tell_warnings
    from lorasmith.library.cards.writing import write_card

    card = make_card(target, showcase or (), licence, name)
    place = (target if target.is_dir() else target.parent) / "card" if out is None else out
    files = write_card(card, place)
    warnings = list(tell_warnings(card))
    if as_json:
        print_json({"files": files, "card": card.as_json(), "warnings": warnings})
        return
    say(f"card: {place / 'README.md'}, {len(card.pictures)} pictures", style="green")
    for warning in warnings:
        say(f"warning: {warning}", style="yellow")
