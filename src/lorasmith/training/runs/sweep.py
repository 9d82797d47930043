"""A sweep's folder: the runs of its variants, and what is theirs together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lorasmith.events import SweepDone
from lorasmith.project import Project, safe_name, write_file
from lorasmith.training.runs.folder import Run, free_folder

FILE_NAME = "sweep.json"


@dataclass(frozen=True)
class SweepRun:
    """A sweep's folder: runs/<time>-<name>-sweep/ with sweep.json, state/, and a run's folder for each variant."""

    path: Path
    runs: Mapping[str, Run]

    @property
    def state_file(self) -> Path:
        return self.path / "state" / "state.safetensors"

    @property
    def done_file(self) -> Path:
        return self.path / "done.json"

    @property
    def is_founded(self) -> bool:
        """Can it be gone on with?"""
        return (self.path / FILE_NAME).is_file()

    def write_done(self, done: SweepDone) -> None:
        """Keep the last event. Raises StorageError."""
        write_file(self.done_file, json.dumps(done.as_json(), indent=1))

    def done(self) -> SweepDone | None:
        """The last event of a sweep that is complete, else None."""
        try:
            told = json.loads(self.done_file.read_text("utf-8"))
            return SweepDone(Path(told["run"]), told["seconds"], told["variants"], told["failed"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def place_sweep(project: Project, names: list[str], path: Path | None = None) -> SweepRun:
    """Where the variants' runs lie; by default in a new folder. Nothing is written."""
    name = safe_name(project.lora.name)
    folder = path or free_folder(project.runs, f"{name}-sweep")
    return SweepRun(folder, {each: Run(folder / each, f"{name}-{each}") for each in names})


def create_sweep(sweep: SweepRun) -> None:
    """Make it one that can be gone on with; its variants' folders are there already."""
    write_file(sweep.path / FILE_NAME, json.dumps({"variants": list(sweep.runs)}, indent=1))


def latest_sweep(project: Project) -> SweepRun | None:
    """The sweep that was started last, or None."""
    files = sorted(project.runs.glob(f"*/{FILE_NAME}"))
    if not files:
        return None
    try:
        names = json.loads(files[-1].read_text("utf-8"))["variants"]
    except (OSError, ValueError, KeyError):
        return None
    return place_sweep(project, [safe_name(str(name)) for name in names], files[-1].parent)
