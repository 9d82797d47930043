"""Who listens to a job: events come from any thread, and are read on an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

LAST = ("finished", "stopping")
"""Nothing follows one of these events."""
UNREAD = 256
"""Events that a reader may be behind; older progress is dropped, nothing else."""


class Reader:
    """One listener of a job, on an event loop; events come from other threads. With `only_last` it is not woken before
    the last one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, only_last: bool = False) -> None:
        self._loop = loop
        self._only_last = only_last
        self._events: deque[dict[str, Any]] = deque()
        self._some = asyncio.Event()
        self.wants_previews = False

    def push(self, event: dict[str, Any]) -> None:
        """Give an event, from any thread; nothing happens when the loop is gone."""
        if self._only_last and event["event"] not in LAST:
            return
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
        """Everything in order up to the last event; ``{"event": "idle"}`` after `idle` seconds of nothing."""
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if event["event"] in LAST:
                    return
            self._some.clear()
            try:
                await asyncio.wait_for(self._some.wait(), idle)
            except TimeoutError:
                yield {"event": "idle"}

    async def finished(self) -> None:
        """Return when nothing more is told."""
        async for _ in self.events():
            continue
