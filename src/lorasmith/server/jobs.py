"""Jobs in the making: what was asked for, how far each picture is, and what its face promises of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lorasmith.generation.spec import PictureSpec
from lorasmith.server.readers import Reader
from lorasmith.server.states import FINAL, State

if TYPE_CHECKING:
    from collections.abc import Hashable

    from PIL.Image import Image


@dataclass(frozen=True)
class JobPolicy:
    """What a face promises of its jobs.

    - `recorded`: they stand in the records, can be asked for by their id, and go on after a restart; others are
      cancelled when the server closes.
    - `keeps_pictures`: their pictures are kept.
    - `awaited`: a client waits for the pictures themselves. Their bytes are held for it, an interrupted picture is
      held as far as it came, and the client can interrupt whatever it waits for.
    - `hangs_on_readers`: they are cancelled when the last reader leaves.
    """

    face: str
    recorded: bool
    keeps_pictures: bool
    awaited: bool = False
    hangs_on_readers: bool = False


@dataclass(frozen=True)
class Result:
    """A finished picture: its PNG where a client waits for it, its id where it is kept."""

    png: bytes | None
    picture: str | None
    infotext: str
    document: Mapping[str, Any]


@dataclass(eq=False)
class Item:
    """One picture of a job. `company` is what it can be drawn together with on its base, once that could tell."""

    job: Job
    number: int
    spec: PictureSpec
    state: State = "queued"
    step: int = 0
    steps: int = 0
    preview: Image | None = None
    result: Result | None = None
    error: dict[str, Any] | None = None
    company: Hashable = None

    @property
    def client(self) -> str:
        return self.job.client

    @property
    def base(self) -> str:
        """What it is drawn on; admission filled it in."""
        assert self.spec.base is not None
        return self.spec.base

    @property
    def progress(self) -> float:
        """How much of it is done, 0 to 1."""
        if self.state in FINAL:
            return 1.0
        return self.step / self.steps if self.steps else 0.0


@dataclass(eq=False)
class Job:
    """What a client asked for at once. Owned by the board, which locks; `noted` is how it stands in the records."""

    id: str
    client: str
    policy: JobPolicy
    kind: str
    items: list[Item] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    finished: float | None = None
    noted: State = "queued"
    cancelled: bool = False
    completing: bool = False
    readers: list[Reader] = field(default_factory=list)

    @property
    def state(self) -> State:
        states = [item.state for item in self.items]
        if any(state not in FINAL for state in states):
            return "running" if any(state != "queued" for state in states) else "queued"
        if self.completing:  # all pictures are there, what is made of them is not
            return "running"
        if self.cancelled:
            return "cancelled"
        return "done" if any(state == "done" for state in states) else "failed"

    @property
    def progress(self) -> float:
        """How much of it is done, 0 to 1."""
        return sum(item.progress for item in self.items) / max(1, len(self.items))

    def tell(self, event: dict[str, Any]) -> None:
        """Pass an event to everybody who listens."""
        for reader in self.readers:
            reader.push(event)


def new_job(
    client: str,
    policy: JobPolicy,
    specs: Sequence[PictureSpec],
    kind: str = "pictures",
    detail: Mapping[str, Any] | None = None,
) -> Job:
    """A job with an id that nobody can guess."""
    job = Job(secrets.token_hex(16), client, policy, kind, detail=dict(detail or {}))
    job.items = [Item(job, number, spec) for number, spec in enumerate(specs)]
    return job
