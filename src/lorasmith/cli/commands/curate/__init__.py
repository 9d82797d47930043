"""`lorasmith curate`: decisions on images, and pictures made from them."""

from __future__ import annotations

import typer

from lorasmith.cli.commands.curate import deciding, deriving, solving

app = typer.Typer(help="Decide on images, and make more of them; all can be undone.", no_args_is_help=True)

for _command in (
    deciding.keep,
    deciding.reject,
    deciding.primary,
    deciding.supporting,
    deciding.repeats,
    deciding.crop,
    deciding.label,
    deciding.unlabel,
    deciding.distinct,
    deciding.undo,
    deciding.redo,
    deciding.log,
    deciding.auto,
    solving.solve,
    deriving.alter,
    deriving.collage,
    deriving.cut,
    deriving.adopt,
):
    app.command()(_command)
app.command("round")(deriving.second_round)
