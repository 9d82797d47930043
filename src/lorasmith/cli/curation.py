"""How decisions, made pictures and solved repeats look in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import draw, print_json, say

if TYPE_CHECKING:
    from lorasmith.dataset.decisions import Decision
    from lorasmith.dataset.derive import Derived
    from lorasmith.dataset.repeats import Solution

_SHOWN = 12
_NAMED = 6


def show_made(made: Sequence[Derived], project: Path, as_json: bool, none: str = "") -> None:
    if as_json:
        print_json({"made": [picture.as_json() for picture in made]})
        return
    if not made:
        say(none or "Nothing was made.")
        return
    from rich.table import Table

    from lorasmith.cli.console import plain

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("made", "by", "of"):
        table.add_column(column)
    for picture in made[:_SHOWN]:
        known = " (was there)" if picture.existed else ""
        table.add_row(plain(picture.name, style="cyan"), picture.operation + known, plain(name_some(picture.sources)))
    draw(table)
    if len(made) > _SHOWN:
        say(f"... and {len(made) - _SHOWN} more")
    new = sum(1 for picture in made if not picture.existed)
    say(f"\n{new} new in {made[0].path.parent}", style="green")
    if any(not picture.path.with_suffix(".txt").exists() for picture in made):
        say(f"Some have no caption yet: {program()} tag {typed(project)} --tagger doodle")
    say(f"Undo: {program()} curate undo {typed(project)}   Balance anew: {program()} curate solve {typed(project)}")
    say(f"Next: {program()} inspect {typed(project)}")


def solution_json(solution: Solution) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "groups": [asdict(share) for share in solution.shares],
        "influence": solution.influence,
        "steps": solution.steps,
        "target": solution.target,
    }


def draw_solution(solution: Solution, wanted: float, epochs: int) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("group")
    for column in ("images", "repeats", "views", "share of the epoch"):
        table.add_column(column, justify="right")
    for share in solution.shares:
        row = (share.name, str(share.images), str(share.repeats), str(share.views), f"{share.share:.0%}")
        table.add_row(*row)
    draw(table)
    if solution.influence is not None:
        say(f"\ninfluence   {solution.influence:.2f} of {wanted:g} wanted")
    if solution.steps is not None:
        aim = "" if solution.target is None else f", {solution.target} wanted"
        say(f"steps       {solution.steps} in {epochs} {'epoch' if epochs == 1 else 'epochs'}{aim}\n")


def draw_log(steps: Sequence[Sequence[Decision]]) -> None:
    if not steps:
        return
    from rich.table import Table

    from lorasmith.cli.console import plain

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("step", "when (UTC)", "what", "image", "why"):
        table.add_column(column)
    for step in steps:
        for place, decision in enumerate(step[:_SHOWN]):
            number, when = (str(decision.step), decision.at[:16].replace("T", " ")) if place == 0 else ("", "")
            what, name = plain(_verb(decision)), plain(decision.name, style="cyan")
            table.add_row(number, when, what, name, plain(decision.reason, style="dim"))
        if len(step) > _SHOWN:
            table.add_row("", "", f"... and {len(step) - _SHOWN} more", "", "")
    draw(table)


def draw_decisions(decisions: Sequence[Decision]) -> None:
    if not decisions:
        return
    from rich.table import Table

    from lorasmith.cli.console import plain

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("image")
    table.add_column("why")
    for decision in decisions[: 2 * _SHOWN]:
        table.add_row(plain(decision.name, style="cyan"), plain(decision.reason))
    draw(table)
    if len(decisions) > 2 * _SHOWN:
        say(f"... and {len(decisions) - 2 * _SHOWN} more; all of them with --json")


def decision_json(decision: Decision) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(decision)


def tell_decision(decision: Decision) -> str:
    return f"{_verb(decision)} {decision.name}"


def _verb(decision: Decision) -> str:
    value = decision.value
    if decision.verb == "crop":
        return (
            "whole" if value is None else f"crop to {value[0]},{value[1]},{value[2] - value[0]},{value[3] - value[1]}"
        )
    if decision.verb == "repeats":
        return "repeats of its folder" if value is None else f"repeats {value}"
    if decision.verb == "role":
        return value or "no role"
    if decision.verb in ("label", "unlabel"):
        return f'{decision.verb} "{value}"'
    return decision.verb


def name_some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
