"""Runs as a person sees them, waiting, under way or past: the queue's jobs and the folders that training left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.adapters.runs import run_adapters
from lorasmith.dataset.reading import check_images
from lorasmith.errors import UsageError
from lorasmith.events import finish
from lorasmith.jobs.queue import JobQueue, QueuedRun
from lorasmith.project import Project
from lorasmith.recipe.probe import SWEPT, check_probed
from lorasmith.recipe.recipe import read_recipe
from lorasmith.recipe.requirements import check_requirements
from lorasmith.recipe.sweep import read_sweep
from lorasmith.storage.locks import is_held
from lorasmith.training.runs.folder import RECIPE_FILE
from lorasmith.training.runs.history import RunHistory, read_history, run_folders, variant_folders
from lorasmith.training.runs.run_set import SWEEP_FILE

_ACTIVE = ("waiting", "running", "stopping")


@dataclass(frozen=True)
class KnownRun:
    """A run: its folder, its newest job if the queue has one, and how it stands."""

    folder: Path
    job: QueuedRun | None
    place: int | None = None

    @property
    def is_active(self) -> bool:
        return self.state in _ACTIVE

    @property
    def is_sweep(self) -> bool:
        return (self.folder / SWEEP_FILE).is_file()

    @property
    def state(self) -> str:
        """The job's, while it has not ended; else what the folder tells."""
        if self.job is not None and self.job.state in _ACTIVE:
            return self.job.state
        if self.is_complete:
            return "done"
        if is_held(self.folder / "state" / "lock"):
            return "running"
        return self.job.state if self.job is not None else "stopped"

    @property
    def is_complete(self) -> bool:
        if self.is_sweep:
            return (self.folder / "done.json").is_file()
        return self.history.done is not None

    @property
    def history(self) -> RunHistory:
        return read_history(self.folder / "events.jsonl")

    def as_json(self) -> dict[str, Any]:
        """The line in a list of runs."""
        histories = [read_history(folder / "events.jsonl") for folder in variant_folders(self.folder).values()]
        last = [each.last for each in histories if each.last is not None]
        step, steps = (last[0]["step"], last[0]["steps"]) if last else (0, 0)
        if self.job is not None and self.job.steps and not last:
            step, steps = self.job.step, self.job.steps
        adapters = [file for folder in variant_folders(self.folder).values() for file in run_adapters(folder)]
        ended = self.is_complete and bool(adapters)
        return {
            "name": self.folder.name,
            "state": self.state,
            "job": None if self.job is None else self.job.id,
            "place": self.place,
            "step": step,
            "steps": steps,
            "message": "" if self.job is None else self.job.message,
            "settings": [] if self.job is None else list(self.job.assignments),
            "created": self.job.created if self.job is not None else _made(self.folder),
            "is_sweep": self.is_sweep,
            "probe": self.job is not None and self.job.probe,
            "loss": last[0]["loss"] if last else None,
            "adapter": str(adapters[-1]) if ended else None,
            "adapters": len(adapters),
        }


def list_runs(project: Project, queue: JobQueue) -> list[KnownRun]:
    """All runs of a project, the newest first; those that wait at the top."""
    jobs: dict[Path, QueuedRun] = {}
    waiting = [job.id for job in queue.jobs() if job.state == "waiting"]
    for job in queue.jobs():
        if Path(job.project) == project.root:
            jobs[Path(job.run)] = job
    known = dict.fromkeys([*run_folders(project), *jobs])
    runs = [KnownRun(folder, jobs.get(folder), _place(jobs.get(folder), waiting)) for folder in known]
    return sorted(runs, key=lambda run: run.folder.name, reverse=True)


def find_run(project: Project, queue: JobQueue, name: str) -> KnownRun:
    """The run of a name. Raises UsageError."""
    for run in list_runs(project, queue):
        if run.folder.name == name:
            return run
    raise UsageError(f'there is no run "{name}".', where=project.runs)


def queue_run(project: Project, queue: JobQueue, assignments: Mapping[str, str], *, probe: bool = False) -> QueuedRun:
    """Put a new run (or the project's sweep) at the end of the line; `assignments` go over [recipe], dotted keys with
    values as TOML; with `probe` its learning rates are found first. Raises RecipeError for what it cannot have,
    UsageError for a probe of a sweep, DatasetError for a project without images."""
    if project.table("sweep"):
        if probe:
            raise UsageError(SWEPT, field="probe")
        recipes = [variant.recipe for variant in read_sweep(project, assignments)]
    else:
        recipes = [read_recipe(project, assignments)]
    for recipe in recipes:
        check_requirements(recipe, project.root)
        if probe:
            check_probed(recipe)
    finish(check_images(project))
    return queue.add(project, [f"{key}={value}" for key, value in assignments.items()], probe=probe)


def resume_run(project: Project, queue: JobQueue, name: str) -> QueuedRun:
    """Let a run that was stopped or failed wait again; it goes on where it was. Raises UsageError."""
    run = find_run(project, queue, name)
    if run.is_active:
        raise UsageError(f"{name} is {run.state} already.")
    if run.is_complete:
        raise UsageError(f"{name} is complete.", hint="Start a new run.")
    if run.job is not None:
        return queue.retry(run.job.id)
    if run.is_sweep or (run.folder / RECIPE_FILE).is_file():
        return queue.add(project, [], run.folder)
    raise UsageError(f"{name} has nothing to go on with.", where=run.folder)


def stop_run(project: Project, queue: JobQueue, name: str) -> None:
    """Take a waiting run out of the line; one under way saves its state and ends. Raises UsageError."""
    run = find_run(project, queue, name)
    if run.job is None or run.job.state not in _ACTIVE:
        how = "was started elsewhere: stop it there." if run.is_active else f"is {run.state}."
        raise UsageError(f"{name} {how}")
    queue.cancel(run.job.id)


def _place(job: QueuedRun | None, waiting: list[int]) -> int | None:
    return waiting.index(job.id) if job is not None and job.id in waiting else None


def _made(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
