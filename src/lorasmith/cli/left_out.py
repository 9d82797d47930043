"""How what did not come in is told to a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lorasmith.cli.rendering import say

if TYPE_CHECKING:
    from lorasmith.dataset.folders import Problem

_SHOWN = 8


def show_left_out(left_out: Sequence[Problem]) -> None:
    """What was left out and why, the first few of it."""
    if not left_out:
        return
    say(f"\nLeft out, {len(left_out)} in all:", style="yellow")
    for problem in left_out[:_SHOWN]:
        say(f"  {problem.name}: {problem.message}")
    if len(left_out) > _SHOWN:
        say(f"  and {len(left_out) - _SHOWN} more; all of them with --json")
