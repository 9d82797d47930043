"""`lorasmith library get`, and what `library search --hub` shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import draw, print_json, say, show

if TYPE_CHECKING:
    from lorasmith.library.hubs.looking import Shown

MatureOption = Annotated[bool, typer.Option("--mature", help="What the hub calls mature, too.")]
HubOption = Annotated[str, typer.Option("--hub", help="Look through civitai or hf instead.", show_default=False)]
BaseOption = Annotated[
    str, typer.Option("--base", metavar="BASE", help="With --hub: for this base, in its words.", show_default=False)
]
AfterOption = Annotated[str, typer.Option("--after", help="With --hub: the next page, as it said.", show_default=False)]


def get(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            help="civitai:MODEL[@VERSION], hf:OWNER/NAME[/FILE][@REV], a page's address, or a hash.",
            show_default=False,
        ),
    ],
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="DIR", help="Into this folder; the library's if it has one.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What the file is called here.", show_default=False)
    ] = "",
    mature: MatureOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Fetch an adapter from Civitai or Hugging Face, with its preview and what is said of it.

    What broke off goes on with the same command; what is not to the hub's hash is not kept. A key for what asks to log
    in: CIVITAI_TOKEN, HF_TOKEN, or in the system's keyring.

    Example: lorasmith library get civitai:12345@67890 --into models/Lora
    """
    from lorasmith.library.hubs.installing import install
    from lorasmith.library.hubs.references import read_reference
    from lorasmith.library.index import LibraryIndex

    meant = read_reference(reference)
    with LibraryIndex.open() as index:
        installed = show(install(index, meant, into, name=name, mature=mature), json=as_json)
    if as_json:
        print_json(installed.as_json())
        return
    fetched, entry = installed.fetched, installed.entry
    version = fetched.version
    say(f"{'there already' if fetched.was_there else 'fetched'}: {fetched.path}", style="green")
    say(
        f"{version.name}, {version.version or version.version_id[:12]}, for {version.base or 'a base it does not name'}"
    )
    if version.licence:
        say(f"licence: {version.licence}")
    words = ", ".join([*version.triggers, f"<lora:{entry.name}:0.8>"])
    say(f"use it: {program()} generate {typed(words)} --adapters {typed(fetched.path.parent)}")


def look_on_hub(
    name: str, words: str, base: str, order: str, limit: int, after: str, mature: bool, as_json: bool
) -> None:
    """Look through a hub, and show a page of what it has."""
    from lorasmith.library.hubs.hub import Question
    from lorasmith.library.hubs.looking import hub_called, look_through

    with hub_called(name) as hub:
        shown = show(look_through(hub, Question(words, base, order, limit, mature, after)), json=as_json)
    if as_json:
        print_json(shown.as_json())
    else:
        _tell_models(shown, name, words)


def _tell_models(shown: Shown, hub: str, search: str) -> None:
    """What a hub has, a line each, and how one goes on."""
    from rich.table import Table

    from lorasmith.cli.console import plain

    if not shown.models:
        say("nothing is found.")
    table = Table("reference", "name", "by", "base", "triggers", "downloads", box=None)
    for model in shown.models:
        newest = model.versions[0] if model.versions else None
        table.add_row(
            plain(model.reference),
            plain(model.name + (" (mature)" if model.mature else "")),
            plain(model.creator),
            plain(newest.base if newest else ""),
            plain("; ".join(newest.triggers[:3]) if newest else ""),
            plain("" if model.downloads is None else f"{model.downloads:,}"),
        )
    if shown.models:
        draw(table)
        say(f"get one: {program()} library get {shown.models[0].reference}")
    if shown.refused:
        say(f"{shown.refused} not shown: refused, they combine minors with sexual content.", style="yellow")
    if shown.after:
        say(f"more: {program()} library search {typed(search)} --hub {hub} --after {typed(shown.after)}")
