"""The queue: turns, room, and nobody waits for ever."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lorasmith.server.errors import BusyError
from lorasmith.server.fair_queue import FairQueue


@dataclass(frozen=True)
class Thing:
    client: str
    number: int
    kind: str = ""


def drain(queue: FairQueue[Thing]) -> list[tuple[str, int]]:
    taken = []
    while (thing := queue.take()) is not None:
        taken.append((thing.client, thing.number))
    return taken


def test_clients_take_turns() -> None:
    queue: FairQueue[Thing] = FairQueue(100, 100)
    queue.put(Thing("many", number) for number in range(4))
    queue.put([Thing("few", 0), Thing("other", 0)])
    assert (len(queue), queue.clients) == (6, 3)
    assert drain(queue) == [("many", 0), ("few", 0), ("other", 0), ("many", 1), ("many", 2), ("many", 3)]
    assert len(queue) == 0
    assert queue.head() is None


def test_who_does_not_fit_is_passed_but_not_for_ever() -> None:
    queue: FairQueue[Thing] = FairQueue(100, 100, patience=3)
    queue.put([Thing("odd", 0, "large")])
    queue.put(Thing("even", number) for number in range(6))
    fits = [queue.take(lambda thing: thing.kind == "") for _ in range(4)]
    assert [thing and thing.number for thing in fits] == [0, 1, 2, None]
    assert queue.head() == Thing("odd", 0, "large")
    assert queue.take() == Thing("odd", 0, "large")
    assert queue.take(lambda thing: thing.kind == "") == Thing("even", 3)


def test_there_is_an_end() -> None:
    queue: FairQueue[Thing] = FairQueue(5, 3)
    queue.check("a", 3)
    queue.put(Thing("a", number) for number in range(3))
    with pytest.raises(BusyError, match="3 pictures of yours are waiting") as own:
        queue.check("a", 1, seconds_each=2.0)
    assert (own.value.http_status, own.value.retry_after) == (429, 6)
    queue.check("b", 2)
    with pytest.raises(BusyError, match="there is room for 5") as full:
        queue.check("b", 3)
    assert full.value.http_status == 503


def test_removing() -> None:
    queue: FairQueue[Thing] = FairQueue(9, 9)
    queue.put([Thing("a", 0), Thing("a", 1), Thing("b", 0)])
    assert queue.remove(lambda thing: thing.number == 0) == [Thing("a", 0), Thing("b", 0)]
    assert (len(queue), queue.clients) == (1, 1)
