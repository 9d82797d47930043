"""What clients call their own jobs, to ask for them meanwhile."""

from __future__ import annotations

import threading
from collections import OrderedDict

from lorasmith.server.jobs import Job

MOST_TASKS = 1000


class TaskNames:
    """The last jobs by the names that their clients gave them. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, str] = OrderedDict()

    def note(self, name: str, job: Job) -> None:
        """Remember a job's id under a name; the oldest are forgotten."""
        with self._lock:
            self._jobs[name] = job.id
            self._jobs.move_to_end(name)
            while len(self._jobs) > MOST_TASKS:
                self._jobs.popitem(last=False)

    def find(self, name: str) -> str | None:
        """The id of a job, alive or not."""
        with self._lock:
            return self._jobs.get(name)
