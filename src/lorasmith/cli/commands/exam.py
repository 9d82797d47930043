"""`lorasmith exam`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.cluster import ClusterOption

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
    strength: Annotated[
        float | None, typer.Option("--strength", help="Measure at this strength; default: the one that serves best.")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option("--with", help="Another adapter, file or name, to stack it with (C5); can be repeated."),
    ] = None,
    questions: Annotated[
        Path | None, typer.Option("--questions", metavar="FILE", help="A question sheet (TOML) of your own.")
    ] = None,
    write_questions: Annotated[
        Path | None,
        typer.Option("--write-questions", metavar="FILE", help="Write the questions to a file; draw nothing."),
    ] = None,
    choose: Annotated[
        Path | None,
        typer.Option("--choose", metavar="FILE", help="Draw nothing: this adapter of the project is the one to use."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few pictures: the last adapter alone, roughly.")] = False,
    cluster: ClusterOption = None,
    events: Annotated[
        bool, typer.Option("--events", help="One event a line on stdout, for programs; the last is the verdict.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Measure an adapter against its base; choose a snapshot.

    An exam that was stopped goes on where it was.

    Example: lorasmith exam my-lora --pictures 200
    """
    from lorasmith.cli.rendering import print_json, say, show
    from lorasmith.exam.run import run_exam, write_questions_of
    from lorasmith.exam.settings import QUICK
    from lorasmith.exam.sources import find_project
    from lorasmith.face.drawing import find_adapters
    from lorasmith.library.recommending import recommend
    from lorasmith.pools.choosing import dealt_out

    project, adapter = find_project(target)
    if choose is not None:
        from lorasmith.exam.chosen import choose_adapter

        file = choose_adapter(project, choose.resolve())
        if as_json:
            print_json({"chosen": file})
        else:
            say(f"adapter: {file}")
        return
    chosen = snapshots or ([adapter] if adapter else None)
    overrides: dict[str, Any] = dict(QUICK) if quick else {}
    given = {"pictures": pictures, "strength": strength, "questions": _absolute(questions)}
    overrides |= {name: value for name, value in given.items() if value is not None}
    if beside:
        overrides["beside"] = tuple(str(find_adapters(file)[-1].resolve()) for file in beside)
    if write_questions is not None:
        file = show(write_questions_of(project, write_questions, overrides), json=as_json)
        say(f"questions: {file}")
        return
    with dealt_out(cluster):
        verdict = show(run_exam(project, chosen, overrides), json=as_json, json_events=events)
    recommend(project, verdict.chosen, verdict.as_json())
    if events:
        print_json({"event": "verdict", **verdict.as_json()}, indent=None)
    elif as_json:
        print_json(verdict.as_json())
    else:
        tell(verdict)


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def tell(verdict: Verdict) -> None:
    """The verdict for a person: one line a figure, then what to do next."""
    from lorasmith.cli.rendering import say

    document = verdict.as_json()
    say("")
    say(verdict.summary, style="bold")
    tell_figures(document["figures"])
    tell_strength(document)
    if not verdict.clear:
        say("No clear winner among the snapshots.")
    say(f"adapter: {verdict.chosen}")
    say(f"report:  {verdict.report}")
    for line in verdict.advice:
        say(f"next:    {line}")


def tell_figures(figures: Mapping[str, Any]) -> None:
    """The headline figures of an exam's document, one a line, with the base beside them."""
    from lorasmith.cli.rendering import say

    names = (
        "hit_rate",
        "flexibility",
        "override",
        "leakage",
        "intrusion",
        "untriggered",
        "copying",
        "diversity",
        "broken",
    )
    for name in names:
        figure = figures.get(name)
        if figure is None:  # an exam of an earlier version
            continue
        base = figures["base"].get(name)
        text = "    -  not measured"
        if figure["n"]:
            text = f"{figure['value']:>5.0%}  ({figure['low']:.0%} to {figure['high']:.0%}, n = {figure['n']})"
        if base is not None and base["n"]:
            text += f"   base {base['value']:.0%}"
        say(f"  {name.replace('_', ' '):<12}{text}")


def tell_strength(document: Mapping[str, Any]) -> None:
    """The window of an exam's document, and what was judged; nothing for an exam of an earlier version."""
    from lorasmith.cli.rendering import say

    strength = document.get("strength")
    if strength is None:
        return
    usable = "nowhere"
    if strength["from"] is not None:
        usable = f"{strength['from']:g} to {strength['to']:g}"
        usable = "there only" if strength["from"] == strength["to"] else usable
    say(f"  strength    {strength['recommended']:>5g}  recommended; usable {usable}")
    for stack in document.get("stacking", ()):
        if stack["n"]:
            ratio = f"{stack['ratio']:.0%} of what each does alone"
            say(f"  with {stack['with']}: both show in {stack['joint']:.0%}, {ratio}")
            if apart := stack.get("apart"):
                say(f"    called apart, {apart['call']}: in {apart['joint']['value']:.0%}")
    say(f"  judged: {', '.join(document['judged'])}")
    if document["not_judged"]:
        say(f"  nobody could judge: {', '.join(document['not_judged'])}")
