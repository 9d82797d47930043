"""SkyPilot's task files: a managed job, whose run folder lies in a bucket. Keys as in its schemas (0.14.1)."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from lorasmith.cli.remote.task import PLACE, PYTHON, RUNS, RemoteTask, Written
from lorasmith.errors import Stopped, UsageError

_STORES = {"s3": "s3", "gs": "gcs"}
"""Kinds of buckets by the scheme of their address."""
_ENVIRONMENT = f"{PLACE}/python"


class Sky:
    """`sky jobs launch`."""

    name = "sky"
    program = "sky"
    package = "skypilot"

    def check_store(self, given: str, default: str) -> str:
        store = (given or f"s3://{default}").rstrip("/")
        if re.fullmatch(r"(s3|gs)://[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", store) is None:
            raise UsageError(
                f"{given}: not a bucket's address.",
                field="store",
                hint="Give s3://NAME or gs://NAME; a name has 3 to 63 small letters, digits and hyphens.",
            )
        return store

    def files(self, task: RemoteTask, path: Path, store: str) -> list[Written]:
        scheme, _, bucket = store.partition("://")
        resources: dict[str, Any] = {
            "accelerators": f"{task.card.sky}:{task.cards}",
            "disk_size": 100,
            "use_spot": task.spot,
            # A machine that is taken away ends the run, whose state is saved, before it is gone.
            "job_recovery": {"recover_on_exit_codes": [Stopped.exit_code]},
        }
        mounts: dict[str, Any] = {place: str(source) for place, source in task.files.items()}
        mounts[RUNS] = {"name": bucket, "store": _STORES[scheme], "mode": "MOUNT_CACHED"}
        installing = [
            f"test -x {_ENVIRONMENT}/bin/python || (python3 -m pip install --quiet uv && "
            f"python3 -m uv venv --python {PYTHON} {_ENVIRONMENT})",
            f"python3 -m uv pip install --python {_ENVIRONMENT}/bin/python {shlex.quote(task.requirement)}",
        ]
        document = {
            "name": task.name,
            "resources": resources,
            "file_mounts": mounts,
            "setup": "\n".join(["set -e", *installing, *task.unpacking()]) + "\n",
            "run": task.training(f"{_ENVIRONMENT}/bin/") + "\n",
        }
        return [Written(path, document, ("A managed job of SkyPilot.",))]

    def launching(self, path: Path) -> list[str]:
        return [self.program, "jobs", "launch", str(path)]

    def fetching(self, task: RemoteTask, path: Path, store: str, runs: Path) -> list[str]:
        del path
        there, here = f"{store}/{task.run}", shlex.quote(str(runs / task.run))
        if store.startswith("gs://"):
            return [f"gcloud storage rsync --recursive {there} {here}"]
        return [f"aws s3 sync {there} {here}"]

    def cautions(self, task: RemoteTask, store: str) -> list[str]:
        del task, store
        return []
