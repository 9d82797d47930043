"""`lorasmith queue`: training runs that wait in line and outlive a restart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.program import program

if TYPE_CHECKING:
    from lorasmith.jobs.queue import JobQueue, QueuedRun

app = typer.Typer(help="Training runs in a line that outlives a restart.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(metavar="JOB", help="The job's number, as list shows it.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def add(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path("."),
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A recipe value for this run. Can be repeated."),
    ] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Find the learning rates first, as `train --probe`.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a training run (or a project's sweep) at the end of the line.

    Example: lorasmith queue add my-lora --set rank=8
    """
    from lorasmith.face.runs import queue_run
    from lorasmith.project import open_project
    from lorasmith.recipe.overrides import split_overrides

    job = queue_run(open_project(project), _queue(), split_overrides(assignments or []), probe=probe)
    _tell(job, as_json, f"job {job.id} waits.", f"{program()} queue run")


@app.command("list")
def list_jobs(as_json: AsJson = False) -> None:
    """Show the jobs and how far they are.

    Example: lorasmith queue list
    """
    from lorasmith.cli.rendering import draw, print_json, say

    queue = _queue()
    jobs = queue.jobs()
    if as_json:
        print_json({"folder": queue.folder, "jobs": [job.as_json() for job in jobs]})
        return
    if not jobs:
        say("no job waits.")
        say(f"next:    {program()} queue add PROJECT")
        return
    from rich.table import Table

    from lorasmith.cli.console import plain

    table = Table("job", "state", "steps", "project", "run or reason", box=None)
    for job in jobs:
        steps = f"{job.step}/{job.steps}" if job.steps else "-"
        project = plain(" ".join([Path(job.project).name, *job.assignments]))
        table.add_row(str(job.id), plain(job.state, _STYLES[job.state]), steps, project, plain(job.message or job.run))
    draw(table, soft_wrap=True)
    if any(job.state == "waiting" for job in jobs):
        say(f"next:    {program()} queue run")


@app.command("run")
def run_jobs(
    device: Annotated[
        str,
        typer.Option("--device", help='"cpu", or the number of a GPU; by default the first GPU.', show_default=False),
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Wait for more jobs instead of ending.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line on stdout.")] = False,
) -> None:
    """Run the waiting jobs, one after another; jobs whose worker died go on.

    Example: lorasmith queue run --watch
    """
    from lorasmith.cli.rendering import say, show
    from lorasmith.jobs.worker import default_device, run_queue

    tally = show(run_queue(_queue(), device or default_device(), watch=watch), json_events=as_json)
    if not as_json:
        say(f"{tally.done} done, {tally.failed} failed, {tally.cancelled} cancelled.")
        if tally.failed:
            say(f"next:    {program()} queue list, then {program()} queue retry JOB")
    if tally.failed:
        raise typer.Exit(1)


@app.command()
def cancel(job: Number, as_json: AsJson = False) -> None:
    """Take a job out of the line; a running one saves its state and ends.

    Example: lorasmith queue cancel 3
    """
    changed = _queue().cancel(job)
    _tell(changed, as_json, f"job {job} is {changed.state}.", f"{program()} queue retry {job}")


@app.command()
def retry(job: Number, as_json: AsJson = False) -> None:
    """Let a failed or cancelled job wait again; it goes on where it was.

    Example: lorasmith queue retry 3
    """
    _tell(_queue().retry(job), as_json, f"job {job} waits again.", f"{program()} queue run")


@app.command()
def remove(job: Number, as_json: AsJson = False) -> None:
    """Forget a job and its log; what it trained stays.

    Example: lorasmith queue remove 3
    """
    removed = _queue().remove(job)
    _tell(removed, as_json, f"job {job} is forgotten; its run stays: {removed.run}", f"{program()} queue list")


_STYLES = {
    "waiting": "",
    "running": "cyan",
    "stopping": "yellow",
    "done": "green",
    "failed": "red",
    "cancelled": "yellow",
}


def _queue() -> JobQueue:
    from lorasmith.jobs.queue import JobQueue
    from lorasmith.storage.places import data_folder

    return JobQueue(data_folder())


def _tell(job: QueuedRun, as_json: bool, sentence: str, then: str) -> None:
    from lorasmith.cli.rendering import print_json, say

    if as_json:
        print_json(job.as_json())
        return
    say(sentence)
    say(f"next:    {then}")
