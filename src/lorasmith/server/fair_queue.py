"""The queue of pictures that wait: clients take turns, each of them first come first served, and it has an end."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from lorasmith.server.errors import BusyError


class Waiting(Protocol):
    """What can stand in the queue."""

    @property
    def client(self) -> str: ...


T = TypeVar("T", bound=Waiting)
SEARCHED = 8
"""How deep into one client's own pictures a fitting one is looked for."""


class FairQueue(Generic[T]):
    """Waiting things by client. Not thread-safe: its owner locks.

    `take` goes round the clients; who was served goes to the end. A thing that does not fit may be passed by others,
    `patience` times; then nothing else is given out until it fits.
    """

    def __init__(self, most: int, most_per_client: int, patience: int = 32) -> None:
        self.most = most
        self.most_per_client = most_per_client
        self.patience = patience
        self._lanes: OrderedDict[str, deque[T]] = OrderedDict()
        self._size = 0
        self._passed = 0

    def __len__(self) -> int:
        return self._size

    @property
    def clients(self) -> int:
        """How many clients wait."""
        return len(self._lanes)

    def check(self, client: str, count: int, seconds_each: float = 1.0) -> None:
        """Raise BusyError when `count` more of a client would be too many: 429 for its own share, 503 for all."""
        own = len(self._lanes.get(client, ()))
        retry = max(1, min(600, round(seconds_each * self._size)))
        if self._size + count > self.most:
            raise BusyError(f"{self._size} pictures are waiting; there is room for {self.most}.", retry_after=retry)
        if own + count > self.most_per_client:
            raise BusyError(
                f"{own} pictures of yours are waiting; there is room for {self.most_per_client} of one client.",
                retry_after=max(1, min(600, round(seconds_each * own))),
                own_share=True,
            )

    def put(self, things: Iterable[T]) -> None:
        """Add to the end of their clients' lanes; `check` first."""
        for thing in things:
            self._lanes.setdefault(thing.client, deque()).append(thing)
            self._size += 1

    def head(self) -> T | None:
        """What is next in turn."""
        return next((lane[0] for lane in self._lanes.values()), None)

    def take(self, fits: Callable[[T], bool] = lambda _: True) -> T | None:
        """The next thing in turn for which `fits`, taken out; None when there is none or someone waited too long."""
        first = True
        for client, lane in self._lanes.items():
            for place in range(min(SEARCHED, len(lane))):
                if fits(lane[place]):
                    if first:
                        self._passed = 0
                    else:
                        self._passed += 1
                    thing = lane[place]
                    del lane[place]
                    self._size -= 1
                    self._lanes.move_to_end(client)
                    if not lane:
                        del self._lanes[client]
                    return thing
                if first and self._passed >= self.patience:
                    return None
                first = False
        return None

    def remove(self, goes: Callable[[T], bool]) -> list[T]:
        """Take out everything for which `goes`."""
        gone: list[T] = []
        for client in list(self._lanes):
            lane = self._lanes[client]
            gone += [thing for thing in lane if goes(thing)]
            kept = deque(thing for thing in lane if not goes(thing))
            if kept:
                self._lanes[client] = kept
            else:
                del self._lanes[client]
        self._size -= len(gone)
        return gone
