"""The line: turns, room, and nobody waits for ever."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lorasmith.server.faults import BusyError
from lorasmith.server.line import FairLine


@dataclass(frozen=True)
class Thing:
    client: str
    number: int
    kind: str = ""


def drain(line: FairLine[Thing]) -> list[tuple[str, int]]:
    taken = []
    while (thing := line.take()) is not None:
        taken.append((thing.client, thing.number))
    return taken


def test_clients_take_turns() -> None:
    line: FairLine[Thing] = FairLine(100, 100)
    line.put(Thing("many", number) for number in range(4))
    line.put([Thing("few", 0), Thing("other", 0)])
    assert (len(line), line.clients) == (6, 3)
    assert drain(line) == [("many", 0), ("few", 0), ("other", 0), ("many", 1), ("many", 2), ("many", 3)]
    assert len(line) == 0
    assert line.head() is None


def test_who_does_not_fit_is_passed_but_not_for_ever() -> None:
    line: FairLine[Thing] = FairLine(100, 100, patience=3)
    line.put([Thing("odd", 0, "large")])
    line.put(Thing("even", number) for number in range(6))
    fits = [line.take(lambda thing: thing.kind == "") for _ in range(4)]
    assert [thing and thing.number for thing in fits] == [0, 1, 2, None]
    assert line.head() == Thing("odd", 0, "large")
    assert line.take() == Thing("odd", 0, "large")
    assert line.take(lambda thing: thing.kind == "") == Thing("even", 3)


def test_there_is_an_end() -> None:
    line: FairLine[Thing] = FairLine(5, 3)
    line.check("a", 3)
    line.put(Thing("a", number) for number in range(3))
    with pytest.raises(BusyError, match="3 pictures of yours are waiting") as own:
        line.check("a", 1, seconds_each=2.0)
    assert (own.value.http_status, own.value.retry_after) == (429, 6)
    line.check("b", 2)
    with pytest.raises(BusyError, match="there is room for 5") as full:
        line.check("b", 3)
    assert full.value.http_status == 503


def test_removing() -> None:
    line: FairLine[Thing] = FairLine(9, 9)
    line.put([Thing("a", 0), Thing("a", 1), Thing("b", 0)])
    assert line.remove(lambda thing: thing.number == 0) == [Thing("a", 0), Thing("b", 0)]
    assert (len(line), line.clients) == (1, 1)
