"""`lorasmith train`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.program import program, typed
from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from lorasmith.cli.remote.writing import Asked
    from lorasmith.events import Done, SweepDone, Work
    from lorasmith.project import Project


def command(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path("."),
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A recipe value for this run, e.g. --set rank=8. Can be repeated."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that was started last.")] = False,
    sweep: Annotated[
        bool | None,
        typer.Option("--sweep/--no-sweep", help="Train the variants of [sweep]; by default if there is that table."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="FOLDER", help="The run's folder; by default a new one in runs/.")
    ] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="First try half, all and twice the learning rates for a quarter of the steps, side by side, and take "
            "what held-out images like best. `plan --probe` tells what that costs.",
        ),
    ] = False,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            min=1,
            max=4,
            help="2: let the first run's adapter draw what no image shows beside the subject, take what the exam's "
            "judge finds right into the dataset, and train anew (D15). `curate undo` takes it out again.",
        ),
    ] = 1,
    remote: Annotated[
        str | None,
        typer.Option(
            "--remote",
            metavar="sky|dstack",
            help="Do not train here: write the task for a rented GPU, and tell what to type. Nothing is rented.",
        ),
    ] = None,
    gpu: Annotated[
        str, typer.Option("--gpu", metavar="NAME[:COUNT]", help="With --remote: the GPU, e.g. L4 or A100-80GB:2.")
    ] = "",
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE", help="With --remote: the task's file; by default in build/remote/."),
    ] = None,
    store: Annotated[
        str,
        typer.Option(
            "--store",
            metavar="NAME",
            help="With --remote: what keeps the run when its machine is taken away: for sky a bucket (s3://NAME, "
            "gs://NAME), for dstack a volume.",
        ),
    ] = "",
    wheel: Annotated[
        Path | None,
        typer.Option("--wheel", metavar="FILE", help="With --remote: a wheel of Lorasmith to install there."),
    ] = None,
    on_demand: Annotated[
        bool, typer.Option("--on-demand", help="With --remote: no spot machine, which can be taken away any time.")
    ] = False,
    launch: Annotated[
        bool, typer.Option("--launch", help="With --remote: call the tool, too. It asks before it rents anything.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line on stdout; the last is done.")] = False,
) -> None:
    """Train the adapter; stop it any time, go on with --resume.

    Example: lorasmith train my-lora --set rank=8 --set lr.unet=4e-4

    Example: lorasmith train my-lora --rounds 2

    Example: lorasmith train my-lora --remote sky --gpu L4
    """
    from lorasmith.cli.rendering import say, show
    from lorasmith.events import SweepDone
    from lorasmith.face.stages import train_project
    from lorasmith.project import open_project
    from lorasmith.recipe.overrides import split_overrides

    opened = open_project(project)
    folder = None if run is None else run.resolve()
    settings = split_overrides(assignments or [])
    if remote is not None:
        _refuse_here({"--resume": resume, "--run": run, "--probe": probe, "--rounds": rounds > 1})
        from lorasmith.cli.remote.writing import Asked

        asked = Asked(remote, gpu, write, store, wheel, spot=not on_demand, sweep=sweep)
        _train_elsewhere(opened, settings, asked, launch, as_json)
        return
    _refuse_without_remote({"--gpu": gpu, "--write": write, "--store": store, "--wheel": wheel, "--launch": launch})
    work: Work[Done | SweepDone]
    if rounds > 1:
        _refuse_beside_rounds({"--resume": resume, "--run": run, "--sweep": sweep})
        from lorasmith.face.rounds import train_rounds

        work = train_rounds(opened, rounds, settings, probe=probe)
    else:
        work = train_project(opened, settings, sweep=sweep, resume=resume, run=folder, probe=probe)
    done = show(work, json_events=as_json)
    from lorasmith.training.steps.process_group import is_first

    if as_json or not is_first():
        return
    if isinstance(done, SweepDone):
        _say_sweep(done, opened.root)
        return
    say(f"adapter: {done.adapter}")
    say(f"next:    {program()} exam {typed(project)}")


def _refuse_here(options: Mapping[str, object]) -> None:
    """Raises UsageError for an option that is only for a run on this machine."""
    if given := [option for option, value in options.items() if value]:
        hint = "A task goes on by itself where its machine was taken away."
        raise UsageError(f"{given[0]} does not go with --remote.", hint=hint)


def _refuse_beside_rounds(options: Mapping[str, object]) -> None:
    """Raises UsageError for an option that is for one run."""
    if given := [option for option, value in options.items() if value]:
        hint = "Finish the run with --resume; then draw the next round's pictures by `curate round`, and train again."
        raise UsageError(f"{given[0]} does not go with --rounds.", hint=hint)


def _refuse_without_remote(options: Mapping[str, object]) -> None:
    """Raises UsageError for an option that says something of a task elsewhere."""
    if given := [option for option, value in options.items() if value]:
        raise UsageError(f"{given[0]} goes with --remote.", hint="For example: --remote sky --gpu L4")


def _train_elsewhere(
    project: Project, settings: Mapping[str, str], asked: Asked, launches: bool, as_json: bool
) -> None:
    from lorasmith.cli.remote.writing import launch, prepare_remote
    from lorasmith.cli.rendering import print_json, say, show

    if not asked.gpu:
        raise UsageError("--remote needs a GPU.", field="gpu", hint="For example --gpu L4.")
    prepared = show(prepare_remote(project, settings, asked), as_json)
    if as_json:
        print_json(prepared.as_json())
    else:
        say(f"task:    {', '.join(map(str, prepared.files))}")
        say(f"data:    {prepared.package}")
        for word, line in zip(("fetch:   ", *[" " * 9] * len(prepared.fetch)), prepared.fetch, strict=False):
            say(f"{word}{line}")
        say(f"next:    {shlex.join(prepared.launch)}")
    if launches and (code := launch(prepared)):
        raise typer.Exit(code)


def _say_sweep(done: SweepDone, root: Path) -> None:
    from rich.table import Table

    from lorasmith.cli.rendering import draw, say

    table = Table("variant", "loss", "adapter", box=None)
    for name, made in sorted(done.variants.items(), key=lambda item: float(item[1]["loss"])):
        table.add_row(name, f"{made['loss']:.4f}", Path(made["adapter"]).name)
    for name, why in done.failed.items():
        table.add_row(name, "-", why, style="yellow")
    draw(table, soft_wrap=True)
    say(f"sweep:   {done.run}")
    best = next(iter(done.variants.values()), None)
    if best is not None:
        say(
            f"next:    {program()} exam {typed(best['adapter'])}    "
            f"(a low loss is no verdict; the exam of {root.name} is)"
        )
