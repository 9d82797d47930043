"""`lorasmith library`: the adapters and bases that a user has."""

from __future__ import annotations

import typer

from lorasmith.cli.commands.library import get, identify, listing, noting, scanning, update

app = typer.Typer(help="Find, fetch, sort and note adapters.", no_args_is_help=True)

for _command in (
    scanning.scan,
    listing.list_files,
    listing.search,
    listing.show_file,
    listing.dups,
    noting.notes,
    noting.collect,
    noting.forget,
    get.get,
    identify.identify,
    update.update,
):
    app.command({"list_files": "list", "show_file": "show"}.get(_command.__name__))(_command)
