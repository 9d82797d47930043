"""The worker whose engines are elsewhere: it takes pictures from the board while a replica has room, and tells the
board what replicas say.

A picture is a replica's under a token. With a replica its tokens end: what it says too late is not heard, and its
pictures are given to others, with the same seeds. So none is lost and none is told twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from weakref import WeakKeyDictionary

from lorasmith.errors import ClusterError, ImageError, LorasmithError, UsageError
from lorasmith.server.bases import BaseEntry, find_base
from lorasmith.server.cluster.fleet import Fleet, Greeted, News
from lorasmith.server.cluster.messages import Begun, Drawn, Event, Failed, Lost, Moved, Order, Report
from lorasmith.server.cluster.routing import Standing, choose_replica
from lorasmith.server.cluster.wanted import Wanted, read_wanted, start_files
from lorasmith.server.interfaces import InputPath, WorkSource
from lorasmith.server.jobs import Item
from lorasmith.server.metrics import Metrics
from lorasmith.server.settings import ServerSettings
from lorasmith.server.stored import COUNTED, MEASURED
from lorasmith.server.stored_spec import write_stored

_LOG = logging.getLogger("lorasmith.server")
DEATHS, ALONE = 3, 2
"""So often a picture may be with a replica that ends before it is called the reason; from so often on it is drawn
alone, so that others do not end with it."""
LOOK = 0.2
PAUSE = 0.05
AGAIN_AFTER = 5.0
"""Seconds after which a replica that could not be started is started again."""
LOST = "lorasmith_replicas_lost_total"
AGAIN = "lorasmith_pictures_drawn_again_total"


def ahead_of(batch_size: int) -> int:
    """How many pictures more than it draws together a replica is given: it fetches their adapters meanwhile, and begins
    them when others of its batch end, before the next ones are on their way."""
    return max(2, batch_size // 2)


@dataclass
class _Place:
    """A replica as it stands, and what is with it by token. `totals` are those that it said last."""

    name: str
    process: int | None = None
    draining: bool = False
    base: str | None = None
    held: dict[int, Item] = field(default_factory=dict)
    adapters: set[str] = field(default_factory=set)
    totals: dict[str, float] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


class ReplicaWorker:
    """Draws on `replicas` replicas of a fleet, as many as are there: one more takes its share, one that goes drains
    first, one that ends is replaced."""

    def __init__(
        self,
        fleet: Fleet,
        bases: Sequence[BaseEntry],
        settings: ServerSettings,
        input_path: InputPath,
        metrics: Metrics,
    ) -> None:
        self.hashes: dict[str, str] = {}
        self.most_each = settings.batch_size + ahead_of(settings.batch_size)
        self._fleet = fleet
        self._bases = bases
        self._settings = settings
        self._input_path = input_path
        self._metrics = metrics
        self._changed = threading.Condition(threading.RLock())
        self._places: dict[str, _Place] = {}
        self.wanted = fleet.replicas
        self._tokens = count()
        self._again: list[Item] = []
        self._deaths: WeakKeyDictionary[Item, int] = WeakKeyDictionary()
        self._asked_for: WeakKeyDictionary[Item, Wanted] = WeakKeyDictionary()
        self._counted = dict.fromkeys(COUNTED, 0.0)
        self._start_at = 0.0
        self._threads: list[threading.Thread] = []
        metrics.counter(LOST, "Replicas that ended by themselves.")
        metrics.counter(AGAIN, "Pictures that were given to another replica because theirs ended.")
        metrics.gauge("lorasmith_replicas", "Replicas that draw.", lambda: float(len(self.replicas)))

    @property
    def base(self) -> str | None:
        return next((place.base for place in list(self._places.values()) if place.base is not None), None)

    @property
    def figures(self) -> Mapping[str, float]:
        there = list(self._places.values())
        return self._counted | {name: sum(place.figures.get(name, 0.0) for place in there) for name in MEASURED}

    @property
    def replicas(self) -> dict[str, int]:
        """Those that draw, and how many pictures are with each."""
        with self._changed:
            places = self._places.values()
            return {place.name: len(place.held) for place in places if place.process is not None}

    @property
    def processes(self) -> dict[str, int]:
        """The process ids of those that draw, each on its machine."""
        with self._changed:
            return {place.name: place.process for place in self._places.values() if place.process is not None}

    def start(self, source: WorkSource, preload: str | None = None) -> None:
        """Begin. What bases the replicas have in memory the fleet was told."""
        del preload
        for work in (self._deal_out, self._listen):
            thread = threading.Thread(target=work, args=(source,), name=f"lorasmith-{work.__name__}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def unload(self) -> None:
        self._fleet.unload()

    def scale(self, replicas: int) -> None:
        """Have so many replicas from now on: those that are too many are given nothing more and end when they are done.
        Raises UsageError for fewer than one."""
        if replicas < 1:
            raise UsageError(f"{replicas} replicas are fewer than one.", field="replicas")
        with self._changed:
            self.wanted = replicas
            self._start_at = 0.0
            self._changed.notify_all()

    # Out

    def _deal_out(self, source: WorkSource) -> None:
        while not source.closing:
            source.wait()
            try:
                with self._changed:
                    if not self._deal(source):
                        self._changed.wait(PAUSE)
            except Exception:  # whatever breaks, the server goes on
                _LOG.exception("dealing out failed")
                time.sleep(PAUSE)

    def _deal(self, source: WorkSource) -> bool:
        """Give out what can be begun; whether anything was. The lock is held."""
        orders: dict[str, list[Order]] = {}
        for item in list(self._again):
            if item.state != "running" or self._give(item, source, orders):
                self._again.remove(item)
        while not self._again:
            standings = self._standings()
            if not any(each.room for each in standings):
                break
            taken = source.take(partial(self._can_begin, standings))
            if taken is None or not self._give(taken, source, orders):
                break
        for name, each in orders.items():
            self._fleet.ask(name, each)
        return bool(orders)

    def _can_begin(self, standings: Sequence[Standing], item: Item) -> bool:
        return self._want(item).wrong is not None or self._choose(item, standings) is not None

    def _give(self, item: Item, source: WorkSource, orders: dict[str, list[Order]]) -> bool:
        """Give a picture to a replica, or let it fail; false when none has room."""
        wanted = self._want(item)
        if wanted.wrong is not None:
            source.fail(item, wanted.wrong)
            return True
        name = self._choose(item, self._standings())
        if name is None:
            return False
        token = next(self._tokens)
        try:
            files = {file: self._input_path(file).read_bytes() for file in start_files(item.spec)}
            order = Order(token, write_stored(item.spec), wanted.adapters, files)
        except (OSError, ValueError) as fault:
            source.fail(item, ImageError(f"the picture to start from cannot be read: {fault}."))
            return True
        place = self._places[name]
        place.held[token] = item
        place.adapters.update(wanted.adapters)
        orders.setdefault(name, []).append(order)
        return True

    def _choose(self, item: Item, standings: Sequence[Standing]) -> str | None:
        wanted = self._want(item)
        slack = max(1, self._settings.batch_size // 2)
        return choose_replica(standings, wanted.base, wanted.adapters, wanted.company, slack)

    def _standings(self) -> list[Standing]:
        return [self._standing(place) for place in self._places.values()]

    def _standing(self, place: _Place) -> Standing:
        able = place.process is not None and not place.draining
        most = self.most_each if able else 0
        first = next(iter(place.held.values()), None)
        return Standing(
            place.name,
            len(place.held),
            max(0, most - len(place.held)),
            place.base if first is None else self._want(first).base,
            None if first is None else self._want(first).company,
            place.adapters,
        )

    def _want(self, item: Item) -> Wanted:
        known = self._asked_for.get(item)
        if known is None:
            try:
                known = read_wanted(item.spec, item.base, find_base(self._bases, item.base).facts)
            except LorasmithError as error:  # of a job from before a restart
                known = Wanted("", (), None, error)
            if self._deaths.get(item, 0) >= ALONE:
                known = Wanted(known.base, known.adapters, object())
            self._asked_for[item] = known
        return known

    # In

    def _listen(self, source: WorkSource) -> None:
        until: float | None = None
        try:
            while True:
                if source.closing:
                    until = until or time.monotonic() + self._settings.grace
                    if time.monotonic() > until or not (self._again or any(self.replicas.values())):
                        return
                try:
                    self._adjust()
                    for name, news in self._fleet.hear(LOOK, source.wants_previews()):
                        self._hear(source, name, news)
                    self._drop_cancelled()
                    with self._changed:
                        self._deal(source)
                        self._changed.notify_all()
                except Exception as fault:  # whatever breaks, the server goes on
                    _LOG.exception("the cluster: %s", fault)
                    time.sleep(LOOK)
        finally:
            self._fleet.close()
            source.dismiss()

    def _adjust(self) -> None:
        """Start what is missing, let go what is too many."""
        with self._changed:
            staying = [place for place in self._places.values() if not place.draining]
            for place in [place for place in self._places.values() if place.draining]:
                if len(staying) < self.wanted:
                    place.draining = False
                    staying.append(place)
                elif not place.held:
                    self._fleet.end(self._places.pop(place.name).name)
            for place in sorted(staying, key=lambda each: len(each.held))[: max(0, len(staying) - self.wanted)]:
                place.draining = True
            if len(staying) < self.wanted and time.monotonic() >= self._start_at:
                self._start_missing(self.wanted - len(staying))

    def _start_missing(self, missing: int) -> None:
        names = (name for number in count() if (name := f"replica-{number}") not in self._places)
        for name in [next(names) for _ in range(missing)]:
            try:
                self._fleet.start(name)
            except LorasmithError as error:
                self._wait_to_start(str(error))
                return
            self._places[name] = _Place(name)

    def _wait_to_start(self, reason: str) -> None:
        _LOG.warning("no replica could be started: %s", reason)
        self._start_at = time.monotonic() + AGAIN_AFTER

    def _hear(self, source: WorkSource, name: str, news: News) -> None:
        place = self._places.get(name)
        if place is None:
            return
        if isinstance(news, Greeted):
            place.process = news.process
        elif isinstance(news, Lost):
            self._lose(source, place, news)
        else:
            self._learn(place, news)
            for event in news.events:
                self._tell(source, place, event)

    def _learn(self, place: _Place, report: Report) -> None:
        with self._changed:
            place.base = report.base
            self.hashes.update(report.hashes)
            coming = {name for item in place.held.values() for name in self._want(item).adapters}
            place.adapters -= set(report.gone) - coming
        for name, total in report.totals.items():
            self._metrics.add(name, total - place.totals.get(name, 0.0))
        for name in COUNTED:
            self._counted[name] += report.figures.get(name, 0.0) - place.figures.get(name, 0.0)
        place.totals, place.figures = dict(report.totals), report.figures

    def _tell(self, source: WorkSource, place: _Place, event: Event) -> None:
        with self._changed:
            over = isinstance(event, Failed | Drawn)
            item = place.held.pop(event.token, None) if over else place.held.get(event.token)
        if item is None:  # it was cancelled meanwhile
            return
        match event:
            case Begun(_, steps):
                source.begin(item, steps)
            case Moved(_, step, steps, preview):
                source.move(item, step, steps, preview)
            case Failed(_, error):
                source.fail(item, error)
            case Drawn(_, picture):
                source.finish(item, picture)

    def _lose(self, source: WorkSource, place: _Place, lost: Lost) -> None:
        """A replica ended: its pictures are drawn again."""
        with self._changed:
            self._places.pop(place.name)
            items = [item for item in place.held.values() if item.state == "running"]
            if place.process is None:
                self._wait_to_start(lost.reason)
            else:
                _LOG.warning("%s ended with %d pictures: %s", place.name, len(items), lost.reason)
                self._metrics.add(LOST)
            for item in items:
                self._asked_for.pop(item, None)
                self._deaths[item] = self._deaths.get(item, 0) + 1
                if self._deaths[item] < DEATHS:
                    self._again.append(item)
                    self._metrics.add(AGAIN)
                    source.move(item, 0, item.steps, None)
                else:
                    source.fail(item, ClusterError("every replica that draws it ends."))

    def _drop_cancelled(self) -> None:
        with self._changed:
            for place in self._places.values():
                tokens = [token for token, item in place.held.items() if item.state != "running"]
                for token in tokens:
                    del place.held[token]
                if tokens:
                    self._fleet.cancel(place.name, tokens)
