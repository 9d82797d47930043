"""Events are JSON-ready, and work composes."""

from pathlib import Path

import pytest

from lorasmith.events import Event, Note, Progress, SnapshotSaved, StageClock, Work, eta, finish


def counted(total: int) -> Work[int]:
    for done in range(1, total + 1):
        yield Progress("count", done, total)
    return total * 10


def test_event_as_json_has_its_name_and_plain_paths() -> None:
    event = SnapshotSaved(Path("a/b.safetensors"), step=3, epoch=1)
    assert event.as_json() == {"event": "snapshot", "path": "a/b.safetensors", "step": 3, "epoch": 1}


def test_finish_returns_the_result_and_shows_every_event() -> None:
    seen: list[Event] = []
    assert finish(counted(3), seen.append) == 30
    assert [event.as_json()["done"] for event in seen] == [1, 2, 3]


def test_work_composes() -> None:
    def twice() -> Work[int]:
        first = yield from counted(2)
        second = yield from counted(1)
        return first + second

    assert finish(twice()) == 30


def test_what_is_left_takes_as_long_as_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 110.0)
    assert eta(100.0, 2, 8) == 30
    assert eta(100.0, 0.5, 1) == 10
    assert eta(100.0, 8, 8) == 0
    assert eta(100.0, 9, 8) == 0
    assert eta(100.0, 0, 8) is None


def test_a_stages_time_is_what_passes_until_it_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)

    def work() -> Work[str]:
        nonlocal now
        now += 3
        yield Progress("reading", 1, 2)
        now += 1
        yield Note("half of it")
        now += 1
        yield Progress("reading", 2, 2)
        now += 7
        yield Progress("comparing", 1, 1)
        now += 0.5
        return "done"

    clock = StageClock()
    for _ in (watched := clock.watch(work())):
        now += 100  # whoever looks on takes their time
    assert clock.seconds == {"reading": 5, "comparing": 7, "the rest": 0.5}
    assert clock.tell() == "12 s: comparing 7 s, reading 5 s"
    assert finish(StageClock().watch(work())) == "done"
    watched.close()
