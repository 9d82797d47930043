"""Jobs in the making: what was ordered, how far each picture is, and who listens."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lorasmith.server.orders import FINAL, Order, State

if TYPE_CHECKING:
    from collections.abc import Hashable

    from PIL.Image import Image

Face = Literal["native", "webui"]
UNREAD = 256
"""Events that a reader may be behind; older progress is dropped, nothing else."""


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
    order: Order
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
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        if self.state in FINAL:
            return 1.0
        return self.step / self.steps if self.steps else 0.0


class Reader:
    """One listener of a job, on an event loop; events come from other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: deque[dict[str, Any]] = deque()
        self._some = asyncio.Event()
        self.wants_previews = False

    def push(self, event: dict[str, Any]) -> None:
        """Give an event, from any thread; nothing happens when the loop is gone."""
        try:
            self._loop.call_soon_threadsafe(self._accept, event)
        except RuntimeError:
            return

    def _accept(self, event: dict[str, Any]) -> None:
        if len(self._events) >= UNREAD:
            stale = next((e for e in self._events if e["event"] in ("progress", "preview")), None)
            if stale is not None:
                self._events.remove(stale)
        self._events.append(event)
        self._some.set()

    async def events(self, idle: float = 15.0) -> AsyncIterator[dict[str, Any]]:
        """Everything in order up to the "finished" event; ``{"event": "idle"}`` after `idle` seconds of nothing."""
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if event["event"] == "finished":
                    return
            self._some.clear()
            try:
                await asyncio.wait_for(self._some.wait(), idle)
            except TimeoutError:
                yield {"event": "idle"}

    async def finished(self) -> None:
        """Return when the job is final."""
        async for event in self.events():
            if event["event"] == "finished":
                return


@dataclass(eq=False)
class Job:
    """What a client asked for at once. Owned by the service, which locks."""

    id: str
    client: str
    face: Face
    kind: str
    items: list[Item] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    keep: bool = True
    attached: bool = False
    created: float = field(default_factory=time.time)
    cancelled: bool = False
    closing: bool = False
    readers: list[Reader] = field(default_factory=list)

    @property
    def state(self) -> State:
        states = [item.state for item in self.items]
        if any(state not in FINAL for state in states):
            return "running" if any(state != "queued" for state in states) else "queued"
        if self.closing:  # all pictures are there, what is made of them is not
            return "running"
        if self.cancelled:
            return "cancelled"
        return "done" if any(state == "done" for state in states) else "failed"

    @property
    def share(self) -> float:
        return sum(item.share for item in self.items) / max(1, len(self.items))

    def tell(self, event: dict[str, Any]) -> None:
        """Pass an event to everybody who listens."""
        for reader in self.readers:
            reader.push(event)


def new_job(
    client: str,
    face: Face,
    orders: Sequence[Order],
    kind: str = "pictures",
    keep: bool = True,
    attached: bool = False,
    detail: Mapping[str, Any] | None = None,
) -> Job:
    """A job with an id that nobody can guess."""
    job = Job(secrets.token_hex(16), client, face, kind, keep=keep, attached=attached, detail=dict(detail or {}))
    job.items = [Item(job, number, order) for number, order in enumerate(orders)]
    return job
