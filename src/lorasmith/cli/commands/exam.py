"""`lorasmith exam`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lorasmith.exam.verdict import Verdict


def command(
    target: Annotated[
        Path, typer.Argument(metavar="PROJECT|ADAPTER", help="A project, or an adapter file inside one.")
    ] = Path("."),
    snapshots: Annotated[
        list[Path] | None,
        typer.Option("--snapshots", help="Adapter files to choose from; default: those of the newest run."),
    ] = None,
    pictures: Annotated[
        int | None, typer.Option("--pictures", min=8, help="Pictures for the hit rate; default: [exam] pictures.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Measure an adapter against its base; choose a snapshot.

    Example: lorasmith exam my-lora --pictures 200
    """
    from lorasmith.cli.rendering import print_json, show
    from lorasmith.exam.run import run_exam
    from lorasmith.exam.sources import find_project
    from lorasmith.library.recommending import recommend

    project, adapter = find_project(target)
    chosen = snapshots or ([adapter] if adapter else None)
    overrides: dict[str, Any] = {} if pictures is None else {"pictures": pictures}
    verdict = show(run_exam(project, chosen, overrides), json=as_json)
    recommend(project, verdict.chosen, verdict.as_json())
    if as_json:
        print_json(verdict.as_json())
    else:
        tell(verdict)


def tell(verdict: Verdict) -> None:
    """The verdict for a person: one line a figure, then what to do next."""
    from lorasmith.cli.rendering import say

    say("")
    say(verdict.summary, style="bold")
    tell_figures(verdict.as_json()["figures"])
    if not verdict.clear:
        say("No clear winner among the snapshots: the earliest of the equals was taken.")
    say(f"adapter: {verdict.chosen}")
    say(f"report:  {verdict.report}")
    for line in verdict.advice:
        say(f"next:    {line}")


def tell_figures(figures: Mapping[str, Any]) -> None:
    """The headline figures of an exam's document, one a line, with the base beside them."""
    from lorasmith.cli.rendering import say

    for name in ("hit_rate", "flexibility", "leakage", "intrusion", "untriggered", "copying", "diversity"):
        figure, base = figures[name], figures["base"].get(name)
        text = "    -  not measured"
        if figure["n"]:
            text = f"{figure['value']:>5.0%}  ({figure['low']:.0%} to {figure['high']:.0%}, n = {figure['n']})"
        if base is not None and base["n"]:
            text += f"   base {base['value']:.0%}"
        say(f"  {name.replace('_', ' '):<12}{text}")
