"""What a run's folder tells of it, while it goes on and after: its events, from the file in which they are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorasmith.project import Project
from lorasmith.training.runs.folder import RECIPE_FILE
from lorasmith.training.runs.run_set import SWEEP_FILE

POINTS = 400
"""Steps of a curve at most: more than a plot has pixels for."""
_PART = 1 << 20


@dataclass
class RunHistory:
    """A run's events so far: every `stride`-th step with its loss, bands, rates, speed and memory, and all that
    happened besides. `offset` is where the next event of the file begins."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] | None = None
    validations: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    snapshots: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    done: dict[str, Any] | None = None
    offset: int = 0

    def add(self, event: dict[str, Any]) -> None:
        """Take an event of the log in."""
        lists = {
            "step": self.steps,
            "validation": self.validations,
            "sample": self.samples,
            "snapshot": self.snapshots,
            "note": self.notes,
        }
        name = str(event.get("event"))
        if name in lists:
            lists[name].append(event)
        if name == "step":
            self.last = event
        elif name == "done":
            self.done = event

    def as_json(self) -> dict[str, Any]:
        """JSON-ready, with at most `POINTS` steps; paths as the files' names."""
        stride = max(1, -(-len(self.steps) // POINTS))
        steps = self.steps[::stride]
        if self.last is not None and (not steps or steps[-1] is not self.last):
            steps = [*steps, self.last]
        keep = ("step", "epoch", "loss", "bands", "rates", "speed", "memory")
        return {
            "steps": [{key: each.get(key) for key in keep} for each in steps],
            "last": self.last,
            "validations": self.validations,
            "samples": [_named(each) for each in self.samples],
            "snapshots": [_named(each) for each in self.snapshots],
            "notes": self.notes[-50:],
            "done": self.done,
            "offset": self.offset,
        }


def read_history(events: Path) -> RunHistory:
    """All that is in a run's events.jsonl; nothing where there is none yet."""
    history = RunHistory()
    while True:
        found, offset = read_events(events, history.offset)
        for event in found:
            history.add(event)
        if offset == history.offset:
            return history
        history.offset = offset


def read_events(events: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The whole events from a place in the file on, and where the next one begins. A resumed run's file may have become
    shorter: it is then read from its start."""
    try:
        with events.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(offset if offset <= size else 0)
            begin = file.tell()
            part = file.read(_PART)
    except OSError:
        return [], offset
    whole = part.rpartition(b"\n")[0] + b"\n" if b"\n" in part else b""
    return list(_parse(whole)), begin + len(whole)


def run_folders(project: Project) -> list[Path]:
    """The folders of the project's runs and sweeps, the newest first."""
    marked = {file.parent for mark in (RECIPE_FILE, SWEEP_FILE) for file in project.runs.glob(f"*/{mark}")}
    return sorted(marked, key=lambda folder: folder.name, reverse=True)


def variant_folders(run: Path) -> dict[str, Path]:
    """The folders of a sweep's variants by name; of a run by itself its own, named ""."""
    if not (run / SWEEP_FILE).is_file():
        return {"": run}
    return {file.parent.name: file.parent for file in sorted(run.glob(f"*/{RECIPE_FILE}"))}


def _parse(lines: bytes) -> Iterator[dict[str, Any]]:
    for line in lines.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _named(event: dict[str, Any]) -> dict[str, Any]:
    return event | {"path": Path(str(event.get("path", ""))).name}
