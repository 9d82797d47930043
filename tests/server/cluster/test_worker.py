"""The worker over replicas of this process, whatever becomes of them: every picture is drawn, and told once."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL.Image import Image

from lorasmith.errors import ClusterError, LorasmithError, UsageError
from lorasmith.generation.pictures import Picture
from lorasmith.generation.spec import PictureSpec
from lorasmith.server.bases import list_bases
from lorasmith.server.cluster.fleet import Greeted, News
from lorasmith.server.cluster.messages import Lost, Order, Report
from lorasmith.server.cluster.replica import Replica
from lorasmith.server.cluster.worker import AGAIN, DEATHS, LOST, ReplicaWorker, ahead_of
from lorasmith.server.fair_queue import FairQueue
from lorasmith.server.finished import FinishedPicture
from lorasmith.server.jobs import Item, JobPolicy, new_job
from lorasmith.server.metrics import Metrics
from lorasmith.server.service import Service
from lorasmith.server.settings import ServerSettings
from lorasmith.server.worker import DRAWN
from tests.server.running import Plain, plain_settings, wait_for

POLICY = JobPolicy("test", recorded=False, keeps_pictures=False)
BATCH = 2
MOST = BATCH + ahead_of(BATCH)


class HereFleet:
    """Replicas of this process, each with a plain engine; `kill` ends one as kill -9 would: nothing more is heard."""

    def __init__(self, settings: ServerSettings, replicas: int = 2, delay: float = 0.002) -> None:
        self.replicas = replicas
        self.settings = settings
        self.delay = delay
        self.plains: dict[str, Plain] = {}
        self.started: list[str] = []
        self.ended: list[str] = []
        self.refuses = 0
        self.given: dict[int, tuple[str, str]] = {}
        self._there: dict[str, Replica] = {}
        self._news: queue.SimpleQueue[tuple[str, Replica, News]] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def start(self, name: str) -> None:
        if self.refuses:
            self.refuses -= 1
            raise ClusterError("there is no room.")
        self.plains[name] = Plain(self.delay)
        replica = Replica(self.settings, None, self.plains[name])
        self._there[name] = replica
        self.started.append(name)
        threading.Thread(target=self._listen, args=(name, replica), daemon=True).start()

    def _listen(self, name: str, replica: Replica) -> None:
        self._news.put((name, replica, Greeted(len(self.started))))
        while self._there.get(name) is replica:
            self._news.put((name, replica, replica.hear(0.05, previews=False)))

    def ask(self, name: str, orders: Sequence[Order]) -> None:
        for order in orders:
            self.given[order.token] = (name, order.spec)
        if name in self._there:
            self._there[name].take(orders)

    def cancel(self, name: str, tokens: Sequence[int]) -> None:
        if name in self._there:
            self._there[name].cancel(tokens)

    def unload(self) -> None:
        for replica in self._there.values():
            replica.unload()

    def hear(self, seconds: float, previews: bool) -> list[tuple[str, News]]:
        del previews
        try:
            name, replica, news = self._news.get(timeout=seconds)
        except queue.Empty:
            return []
        return [(name, news)] if isinstance(news, Lost) or self._there.get(name) is replica else []

    def kill(self, name: str) -> None:
        replica = self._there.pop(name)
        self.plains[name].gate.set()
        self._news.put((name, replica, Lost("it was killed")))

    def end(self, name: str) -> None:
        self.ended.append(name)
        self._there.pop(name).close()

    def close(self) -> None:
        for name in list(self._there):
            self.end(name)


class Source:
    """A board that writes down what it is told."""

    def __init__(self) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.closing = False
        self.dismissed = False
        self.queue: FairQueue[Item] = FairQueue(10_000, 10_000)
        self.finished: Counter[Item] = Counter()
        self.failed: dict[Item, str] = {}
        self.moves: Counter[Item] = Counter()

    def put(self, *specs: PictureSpec) -> list[Item]:
        items = new_job("somebody", POLICY, specs).items
        with self.lock:
            self.queue.put(items)
            self.lock.notify_all()
        return items

    def wait(self) -> None:
        with self.lock:
            self.lock.wait_for(lambda: self.closing or len(self.queue))

    def take(self, fits: Callable[[Item], bool]) -> Item | None:
        with self.lock:
            item = None if self.closing else self.queue.take(fits)
            if item is not None:
                assert item.state == "queued"
                item.state = "running"
            return item

    def begin(self, item: Item, steps: int) -> None:
        item.steps = steps

    def move(self, item: Item, step: int, steps: int, preview: Image | None) -> None:
        del step, steps, preview
        self.moves[item] += 1

    def fail(self, item: Item, error: LorasmithError) -> None:
        self.failed[item] = error.message
        item.state = "failed"

    def finish(self, item: Item, picture: Picture | FinishedPicture) -> None:
        assert isinstance(picture, FinishedPicture), "it is encoded where it is drawn"
        assert picture.prompt == item.spec.prompt
        self.finished[item] += 1
        item.state = "done"

    def wants_previews(self) -> bool:
        return False

    def dismiss(self) -> None:
        self.dismissed = True

    def close(self) -> None:
        with self.lock:
            self.closing = True
            self.lock.notify_all()


@contextmanager
def working(tmp_path: Path, replicas: int = 2, **more: Any) -> Iterator[tuple[ReplicaWorker, HereFleet, Source]]:
    settings = plain_settings(tmp_path, batch_size=BATCH)
    fleet = HereFleet(settings, replicas, **more)
    metrics = Metrics()
    for name, text in DRAWN.items():
        metrics.counter(name, text)
    worker = ReplicaWorker(fleet, list_bases(settings.bases), settings, lambda _: tmp_path / "none", metrics)
    source = Source()
    worker.start(source)
    try:
        yield worker, fleet, source
    finally:
        source.close()
        for plain in fleet.plains.values():
            plain.gate.set()
        worker.join()
        assert source.dismissed


def specs(count: int, prompt: str = "hat", **more: Any) -> list[PictureSpec]:
    return [PictureSpec(f"{prompt} {number}", seed=number, steps=3, base="doodle", **more) for number in range(count)]


def many_done(source: Source, count: int) -> bool:
    return len(source.finished) > count


def all_done(source: Source, items: Sequence[Item]) -> None:
    wait_for(lambda: all(item.state in ("done", "failed") for item in items), 30)
    time.sleep(0.1)  # what would be told twice has time to be
    assert all(source.finished[item] == 1 for item in items if item.state == "done")


def test_every_replica_takes_its_share(tmp_path: Path) -> None:
    with working(tmp_path) as (worker, fleet, source):
        items = source.put(*specs(60))
        all_done(source, items)
        shares = Counter(name for name, _ in fleet.given.values())
        assert set(shares) == {"replica-0", "replica-1"}
        assert min(shares.values()) > 15
        assert not source.failed
        assert worker.base == "doodle"
        assert worker.hashes == {"doodle": "ab" * 32}
        assert worker._metrics.total("lorasmith_steps_total") == 180


def test_no_more_is_given_than_there_is_room_for(tmp_path: Path) -> None:
    with working(tmp_path) as (worker, fleet, source):
        wait_for(lambda: len(worker.replicas) == 2)
        for plain in fleet.plains.values():
            plain.gate.clear()
        items = source.put(*specs(20))
        wait_for(lambda: sum(worker.replicas.values()) == 2 * MOST)
        time.sleep(0.1)
        assert len(source.queue) == 20 - 2 * MOST
        for plain in fleet.plains.values():
            plain.gate.set()
        all_done(source, items)


def test_what_cannot_be_drawn_fails_alone(tmp_path: Path) -> None:
    with working(tmp_path) as (_, _, source):
        items = source.put(*specs(3), *specs(1, "wrong"), *specs(1, "broken"), *specs(3))
        all_done(source, items)
        assert sorted(source.failed.values()) == ["it broke.", "it is wrong."]
        unknown = source.put(PictureSpec("hat", base="gone"))
        all_done(source, unknown)
        assert source.failed[unknown[0]] == '"gone": unknown base.'


def test_pictures_of_a_killed_replica_are_drawn_again(tmp_path: Path) -> None:
    with working(tmp_path, delay=0.01) as (worker, fleet, source):
        items = source.put(*specs(60))
        for least in (0, 10, 20):
            wait_for(partial(many_done, source, least))
            wait_for(lambda: worker.replicas.get("replica-1", 0) > 0)
            fleet.kill("replica-1")
        all_done(source, items)
        assert not source.failed
        assert len(fleet.given) > 60
        assert fleet.started.count("replica-1") >= 3, "it is replaced under its name"
        assert worker._metrics.total(LOST) == 3
        assert worker._metrics.total(AGAIN) == len(fleet.given) - 60


def test_a_picture_that_ends_every_replica_is_given_up_and_the_others_are_drawn(tmp_path: Path) -> None:
    with working(tmp_path, delay=0.01) as (worker, fleet, source):
        poison = source.put(*specs(1, "poison"))
        items = source.put(*specs(30))
        over = threading.Event()

        def end() -> None:
            seen: set[int] = set()
            while not over.is_set():
                for token, (name, spec) in list(fleet.given.items()):
                    if "poison" in spec and token not in seen:
                        seen.add(token)
                        fleet.kill(name)
                time.sleep(0.005)

        thread = threading.Thread(target=end)
        thread.start()
        all_done(source, [*poison, *items])
        over.set()
        thread.join()
        assert source.failed == {poison[0]: "every replica that draws it ends."}
        assert worker._metrics.total(LOST) == DEATHS


def test_one_more_takes_its_share_and_one_less_drains(tmp_path: Path) -> None:
    with working(tmp_path, replicas=1, delay=0.01) as (worker, fleet, source):
        items = source.put(*specs(30))
        wait_for(lambda: len(source.finished) > 2)
        worker.scale(3)
        all_done(source, items)
        assert {name for name, _ in fleet.given.values()} == {"replica-0", "replica-1", "replica-2"}
        items = source.put(*specs(30))
        wait_for(lambda: min(worker.replicas.values()) > 0)
        worker.scale(1)
        all_done(source, items)
        wait_for(lambda: len(worker.replicas) == 1)
        assert not source.failed
        assert len(fleet.given) == 60, "nothing was drawn again"
        assert len(fleet.ended) == 2
        with pytest.raises(UsageError, match=r"^replicas: 0 replicas are fewer than one\."):
            worker.scale(0)


def test_a_replica_for_which_there_is_no_room_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorasmith.server.cluster.worker.AGAIN_AFTER", 0.2)
    with working(tmp_path, replicas=1) as (worker, fleet, source):
        wait_for(lambda: len(worker.replicas) == 1)
        fleet.refuses = 2
        fleet.kill("replica-0")
        items = source.put(*specs(4))
        all_done(source, items)
        assert fleet.refuses == 0


def test_cancelled_pictures_make_room(tmp_path: Path) -> None:
    with working(tmp_path, replicas=1) as (worker, fleet, source):
        wait_for(lambda: len(worker.replicas) == 1)
        fleet.plains["replica-0"].gate.clear()
        items = source.put(*specs(MOST))
        wait_for(lambda: worker.replicas["replica-0"] == MOST)
        for item in items[1:]:
            item.state = "cancelled"
        wait_for(lambda: worker.replicas["replica-0"] == 1)
        fleet.plains["replica-0"].gate.set()
        all_done(source, items[:1])
        more = source.put(*specs(4))
        all_done(source, more)
        assert not any(source.finished[item] for item in items[1:])


def test_sizes_are_not_mixed_in_a_replica(tmp_path: Path) -> None:
    with working(tmp_path, replicas=2, delay=0.005) as (_, fleet, source):
        items = source.put(*specs(12, width=64, height=64), *specs(12, width=128, height=64))
        all_done(source, items)
        assert not source.failed
        assert all(plain.engine is None or plain.engine.most <= BATCH for plain in fleet.plains.values())


def test_closing_lets_what_is_in_the_making_finish(tmp_path: Path) -> None:
    with working(tmp_path, delay=0.01) as (worker, _, source):
        items = source.put(*specs(30))
        wait_for(lambda: sum(worker.replicas.values()) >= 4)
        source.close()
        worker.join()
        assert sum(source.finished.values()) == sum(item.state == "done" for item in items)
        assert all(item.state in ("done", "queued") for item in items)
        assert any(item.state == "queued" for item in items)


def test_a_start_that_is_not_kept_fails_alone(tmp_path: Path) -> None:
    from lorasmith.generation.spec import StoredInit

    with working(tmp_path) as (_, _, source):
        items = source.put(*specs(1, init=StoredInit(image="a" * 64)), *specs(1))
        all_done(source, items)
        assert source.failed[items[0]].startswith("the picture to start from cannot be read: ")
        assert items[1].state == "done"


def test_a_server_without_a_cluster_has_its_own_worker(tmp_path: Path) -> None:
    service = Service(plain_settings(tmp_path), [], Plain())
    try:
        assert not isinstance(service.worker, ReplicaWorker)
    finally:
        service.start()
        service.stop()
    assert Report().events == ()
