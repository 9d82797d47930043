"""The --skip-unknown option of the commands that read adapters, and what they left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.rendering import say

if TYPE_CHECKING:
    from lorasmith.generation.pictures import Picture

SkipUnknown = Annotated[
    bool,
    typer.Option("--skip-unknown", help="Go on without what of an adapter cannot be used; it is named and recorded."),
]


def say_skipped(skipped: Iterable[str], of: str = "") -> None:
    """A line for each thing that was left out."""
    for name in sorted(skipped):
        say(f"  skipped  {f'{of}: ' if of else ''}{name}")


def skipped_of(pictures: Iterable[Picture]) -> Mapping[str, Sequence[str]]:
    """What of which adapter did not act on the pictures."""
    return {used.network.name: used.skipped for picture in pictures for used in picture.networks if used.skipped}
