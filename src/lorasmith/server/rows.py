"""Rows of the records: jobs, their pictures as ordered, pictures as kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from lorasmith.generation.spec import PictureSpec
from lorasmith.server.states import State
from lorasmith.server.stored_spec import read_stored


@dataclass(frozen=True)
class ItemRow:
    """One picture of a job: what was ordered, and what became of it."""

    number: int
    spec: PictureSpec
    state: State
    picture: str | None
    error: dict[str, Any] | None


@dataclass(frozen=True)
class JobRow:
    """A job as it is kept. `created` and `finished` are seconds since 1970."""

    id: str
    client: str
    face: str
    kind: str
    state: State
    created: float
    finished: float | None
    detail: dict[str, Any]
    items: tuple[ItemRow, ...]


@dataclass(frozen=True)
class PictureRow:
    """A kept picture without its bytes. `document` is the JSON that its file carries."""

    id: str
    job: str | None
    number: int
    created: float
    width: int
    height: int
    seed: int
    prompt: str
    base: str
    document: dict[str, Any]
    infotext: str
    bytes: int
    kind: str
    spec: PictureSpec | None
    board: str = ""


def job_row(head: tuple[Any, ...], items: tuple[ItemRow, ...]) -> JobRow:
    """A job from its columns."""
    name, client, face, kind, state, created, finished, detail = head
    return JobRow(name, client, face, kind, state, created, finished, json.loads(detail), items)


def picture_row(row: tuple[Any, ...]) -> PictureRow:
    """A picture from its columns."""
    name, job, number, created, width, height, seed, prompt, base, document, infotext, size, kind, wanted, board = row
    spec = read_stored(wanted) if wanted else None
    known = json.loads(document)
    return PictureRow(
        name, job, number, created, width, height, seed, prompt, base, known, infotext, size, kind, spec, board
    )
