"""The --precision option of the commands that draw."""

from __future__ import annotations

from typing import Annotated, cast, get_args

import typer

from lorasmith.errors import UsageError, did_you_mean
from lorasmith.recipe.precision import Precision

PrecisionOption = Annotated[
    str, typer.Option(metavar="NUMBERS", help="Of the base: auto, fp32, bf16 or fp16. auto: half on a GPU, else fp32.")
]


def read_precision(text: str) -> Precision:
    """The option's value. Raises UsageError."""
    known = get_args(Precision)
    if text not in known:
        raise UsageError(f'--precision "{text}" is none of {", ".join(known)}.', hint=did_you_mean(text, known))
    return cast(Precision, text)
