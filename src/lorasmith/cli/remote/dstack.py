"""dstack's task files: a task that is resubmitted, whose run folder lies on a network volume. Keys as in its models
(0.22.5)."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from lorasmith.cli.remote.task import PYTHON, RUNS, RemoteTask, Written
from lorasmith.errors import UsageError

VOLUME = "lorasmith-runs"
_UPLOADED = 2 * 2**20
"""Bytes that a dstack server takes of files, unless it is started with another limit."""


class Dstack:
    """`dstack apply`."""

    name = "dstack"
    program = "dstack"
    package = "dstack"

    def check_store(self, given: str, default: str) -> str:
        del default
        store = given or VOLUME
        if re.fullmatch(r"[a-z][a-z0-9-]{1,40}", store) is None:
            raise UsageError(
                f"{given}: not a volume's name.",
                field="store",
                hint="It begins with a small letter; small letters, digits and hyphens follow.",
            )
        return store

    def files(self, task: RemoteTask, path: Path, store: str) -> list[Written]:
        gpu: dict[str, Any] = {"name": task.card.dstack, "count": task.cards}
        if task.card.several:
            gpu["memory"] = f"{task.card.gigabytes}GB"
        kept = [{"name": store, "path": RUNS}]
        document = {
            "type": "task",
            "name": task.name,
            "python": PYTHON,
            "files": [{"local_path": str(source), "path": place} for place, source in task.files.items()],
            "volumes": kept,
            "commands": [f"uv pip install {shlex.quote(task.requirement)}", *task.unpacking(), task.training()],
            "resources": {"gpu": gpu, "disk": "100GB.."},
            "spot_policy": "spot" if task.spot else "on-demand",
            "retry": {"on_events": ["no-capacity", "interruption"], "duration": "1d"},
        }
        fetching = {
            "type": "task",
            "name": _fetching_name(task),
            "python": PYTHON,
            "volumes": kept,
            "commands": ["sleep 30m"],
            "resources": {"cpu": "2..", "memory": "4GB.."},
        }
        return [
            Written(path, document, ("A task of dstack.",)),
            Written(_beside(path), fetching, ("A small machine that holds the volume, to fetch the run from.",)),
        ]

    def launching(self, path: Path) -> list[str]:
        return [self.program, "apply", "-f", str(path)]

    def fetching(self, task: RemoteTask, path: Path, store: str, runs: Path) -> list[str]:
        del store
        name = _fetching_name(task)
        return [
            f"dstack apply -f {shlex.quote(str(_beside(path)))} -y    # it stays; in another terminal:",
            f"scp -r {name}:{task.folder} {shlex.quote(str(runs))}/",
            f"dstack stop {name} -y",
        ]

    def cautions(self, task: RemoteTask, store: str) -> list[str]:
        told = [f"the volume {store} must be there before the task: docs/remote.md shows how one is made."]
        size = sum(_size(source) for source in task.files.values())
        if size > _UPLOADED:
            told.append(
                f"{size / 1e6:.0f} MB of files are sent, and a dstack server takes 2 MiB unless it is started with "
                "DSTACK_SERVER_CODE_UPLOAD_LIMIT=0."
            )
        return told


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _fetching_name(task: RemoteTask) -> str:
    return f"{task.name[:34].rstrip('-')}-fetch"


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.fetch{path.suffix}")
