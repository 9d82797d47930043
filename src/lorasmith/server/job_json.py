"""A job as our API shows it, in the making or from the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lorasmith.server.jobs import Job
from lorasmith.server.rows import JobRow
from lorasmith.server.states import FINAL


def live_json(job: Job) -> dict[str, Any]:
    """A job in the making, or just finished."""
    pictures = [
        {
            "number": item.number,
            "state": item.state,
            "step": item.step,
            "steps": item.steps,
            "seed": item.spec.seed,
            "picture": None if item.result is None else item.result.picture,
            "error": item.error,
        }
        for item in job.items
    ]
    return _job_json(job.id, job.kind, job.state, job.progress, job.created, job.finished, job.detail, pictures)


def row_json(row: JobRow) -> dict[str, Any]:
    """A job from the records."""
    pictures = [
        {
            "number": item.number,
            "state": item.state,
            "step": 0,
            "steps": item.spec.steps,
            "seed": item.spec.seed,
            "picture": item.picture,
            "error": item.error,
        }
        for item in row.items
    ]
    progress = sum(item.state in FINAL for item in row.items) / max(1, len(row.items))
    return _job_json(row.id, row.kind, row.state, progress, row.created, row.finished, row.detail, pictures)


def _job_json(
    job: str,
    kind: str,
    state: str,
    progress: float,
    created: float,
    finished: float | None,
    detail: Mapping[str, Any],
    pictures: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    return {
        "id": job,
        "kind": kind,
        "state": state,
        "share": progress,
        "created": created,
        "finished": finished,
        "detail": dict(detail),
        "pictures": list(pictures),
    }
