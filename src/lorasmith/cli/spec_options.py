"""Options of commands that draw, made of a picture's parameters: what they mean and what they are when left out."""

from __future__ import annotations

from typing import Any

import typer

from lorasmith.generation.defaults import Face, unset_of
from lorasmith.generation.spec import PARAMETERS


def spec_option(field: str, face: Face | None = None, about: str | None = None, before: str = "") -> Any:
    """The option of a field. `about` takes the place of the field's own help, `before` says when it acts."""
    known, unset = PARAMETERS[field], unset_of(field, face)
    words = [(about or known.help).removesuffix(".")]
    if known.kind == "number" and (known.least, known.most) == (0, 1):
        words.append(", 0 to 1")
    if unset is not None:
        words.append(f"; {unset} if none")
    text = "".join(words)
    help = f"{before}{text[0].lower()}{text[1:]}" if before else text
    names = (f"--{known.option}",) if known.kind == "boolean" else ()
    return typer.Option(*names, help=help if help.endswith(" ...") else f"{help}.")


def options_of_fields() -> dict[str, str]:
    """What each field of a picture is called on the command line."""
    return {name: f"--{known.option}" for name, known in PARAMETERS.items()}
