"""The --precision and --weights options of the commands that draw."""

from __future__ import annotations

from typing import Annotated, cast, get_args

import typer

from lorasmith.bases.precision import Precision, Weights
from lorasmith.errors import UsageError, did_you_mean

PrecisionOption = Annotated[
    str, typer.Option(metavar="NUMBERS", help="Of the base: auto, fp32, bf16 or fp16. auto: half on a GPU, else fp32.")
]
WeightsOption = Annotated[
    str, typer.Option(metavar="FORM", help="Of the base in memory: full, or fp8 or int8 with a byte a weight.")
]


def read_precision(text: str) -> Precision:
    """The option's value. Raises UsageError."""
    return cast(Precision, _one_of(text, "--precision", get_args(Precision)))


def read_weights(text: str) -> Weights:
    """The option's value. Raises UsageError."""
    return cast(Weights, _one_of(text, "--weights", get_args(Weights)))


def _one_of(text: str, option: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise UsageError(f'{option} "{text}" is none of {", ".join(known)}.', hint=did_you_mean(text, known))
    return text
