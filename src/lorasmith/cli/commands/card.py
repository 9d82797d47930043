"""`lorasmith card`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lorasmith.library.cards.card import Card

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
    from lorasmith.library.cards.telling import tell_warnings
    from lorasmith.library.cards.writing import write_card

    card = make_card(target, showcase, licence, name)
    place = (target if target.is_dir() else target.parent) / "card" if out is None else out
    files = write_card(card, place)
    warnings = list(tell_warnings(card))
    if as_json:
        print_json({"files": files, "card": card.as_json(), "warnings": warnings})
        return
    say(f"card: {place / 'README.md'}, {len(card.pictures)} pictures", style="green")
    for warning in warnings:
        say(f"warning: {warning}", style="yellow")


def make_card(target: Path, showcases: list[Path] | None, licence: str, name: str) -> Card:
    """The card of a project or a file, with the pictures of its showcases. Raises UsageError for a name that cannot be
    called."""
    from lorasmith.errors import UsageError
    from lorasmith.library.cards.gathering import find_target, gather_card
    from lorasmith.library.cards.showing import choose_pictures, find_showcases, judge_by_eye, showcase_pictures
    from lorasmith.project import safe_name

    if name and name != safe_name(name):
        raise UsageError(f'"{name}" cannot be called in a prompt.', field="name", hint=f'Such as "{safe_name(name)}".')
    project, file = find_target(target)
    called = name or (safe_name(project.lora.name) if project is not None else file.stem)
    pictures = showcase_pictures(find_showcases(project, showcases or ()), file, called)
    chosen = choose_pictures(pictures)
    return gather_card(project, file, chosen, by_eye=judge_by_eye(pictures), name=called, licence=licence)
