"""Work of the road that takes a while."""

from __future__ import annotations

from typing import Any, Literal

from lorasmith.server.native.schemas import Told


class TaskAnswer(Told):
    """A task; `last` is its last event of progress, `result` what came of it."""

    id: str
    project: str
    kind: str
    began: float
    state: Literal["running", "done", "failed"]
    last: dict[str, Any] | None
    notes: list[dict[str, Any]]
    result: Any
    error: dict[str, Any] | None


class TasksAnswer(Told):
    """The newest first."""

    tasks: list[TaskAnswer]
