"""Work of the road that takes a while, in a thread of this server: what it does now, and how it ended."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lorasmith.errors import LorasmithError
from lorasmith.events import Event, Work, finish
from lorasmith.server.errors import FieldError, MissingError, error_json

T = TypeVar("T")
_KEPT = 200
_SOON = 0.5
"""Seconds after which a request that takes longer is told of."""
_NOTES = 20


@dataclass
class RoadTask:
    """`state` is running, done or failed; `last` the last event of progress, `notes` the last sentences, `result` what
    came of it. `project` is "" for what belongs to none."""

    id: str
    project: str
    kind: str
    began: float
    state: str = "running"
    last: dict[str, Any] | None = None
    notes: list[dict[str, Any]] = field(default_factory=list)
    result: Any = None
    error: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


class RoadTasks:
    """The tasks of this server, newest last; one of a kind and project at a time."""

    def __init__(self) -> None:
        self._tasks: dict[str, RoadTask] = {}
        self._lock = threading.Lock()

    def start(self, project: str, kind: str, work: Callable[[], Work[Any]]) -> RoadTask:
        """Begin work; `work` gives JSON-ready results. Raises FieldError while such a task runs."""
        with self._lock:
            if any(t.state == "running" and (t.project, t.kind) == (project, kind) for t in self._tasks.values()):
                raise FieldError(f"{kind}: this is being done already.", where="kind", hint="Wait until it has ended.")
            task = RoadTask(uuid.uuid4().hex, project, kind, time.time())
            self._tasks[task.id] = task
            for old in list(self._tasks)[:-_KEPT]:
                if self._tasks[old].state != "running":
                    del self._tasks[old]
        threading.Thread(target=self._run, args=(task, work), daemon=True, name=f"{kind} {project}").start()
        return task

    def follow(self, project: str, kind: str, work: Work[T], hear: Callable[[Event], None] | None = None) -> T:
        """Do work for which a request waits, here and now, which may `hear` its events; while it takes a while it is
        told of as a task."""
        task, began = RoadTask(uuid.uuid4().hex, project, kind, time.time()), time.monotonic()

        def see(event: Event) -> None:
            if hear is not None:
                hear(event)
            if event.name != "note" and time.monotonic() - began > _SOON:
                task.last = event.as_json()
                with self._lock:
                    self._tasks[task.id] = task

        try:
            return finish(work, see)
        finally:
            task.state = "done"

    def task(self, number: str) -> RoadTask:
        """One task. Raises MissingError."""
        found = self._tasks.get(number)
        if found is None:
            raise MissingError(f'there is no task "{number}".', where="task")
        return found

    def tasks(self, project: str | None = None) -> list[RoadTask]:
        """All tasks, or those of a project ("": of none), the newest first."""
        with self._lock:
            return [t for t in reversed(self._tasks.values()) if project is None or t.project == project]

    def _run(self, task: RoadTask, work: Callable[[], Work[Any]]) -> None:
        def see(event: Event) -> None:
            document = event.as_json()
            if document["event"] == "note":
                task.notes = [*task.notes, document][-_NOTES:]
            else:
                task.last = document

        try:
            task.result = finish(work(), see)
        except LorasmithError as error:
            task.error, task.state = error_json(error), "failed"
        except Exception as fault:  # a fault of ours: whoever waits must hear of it
            task.error, task.state = error_json(LorasmithError(f"a fault of the server: {fault}")), "failed"
            raise
        else:
            task.state = "done"
