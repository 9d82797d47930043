"""A replica: a process that draws what it is sent, with the same worker and engine as a server without a cluster. It
keeps no queue policy of its own; what it was given it begins in that order."""

from __future__ import annotations

import os
import platform
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from lorasmith import __version__
from lorasmith.errors import LorasmithError
from lorasmith.server.bases import list_bases
from lorasmith.server.cluster.messages import Begun, Drawn, Event, Failed, Moved, Order, Report, portable
from lorasmith.server.finished import FinishedPicture, finish_picture
from lorasmith.server.interfaces import Loader
from lorasmith.server.jobs import Item, JobPolicy, new_job
from lorasmith.server.metrics import Metrics
from lorasmith.server.settings import ServerSettings
from lorasmith.server.stored import open_stored, read_figures
from lorasmith.server.stored_spec import read_stored
from lorasmith.server.worker import DRAWN, EngineWorker
from lorasmith.storage.files import write_file

if TYPE_CHECKING:
    from PIL.Image import Image

    from lorasmith.generation.pictures import Picture

POLICY = JobPolicy("replica", recorded=False, keeps_pictures=False)
FETCHES, ENCODES = 4, 2
"""How many adapters are fetched, and pictures encoded, at once while others are drawn."""


class Inbox:
    """What a replica was given and has not begun, and what it has to say; a `WorkSource`. `ended` is told the token of
    each picture that nothing more comes of. Any thread may ask."""

    def __init__(self, ended: Callable[[int], None]) -> None:
        self._ended = ended
        self.lock = threading.Condition(threading.RLock())
        self.closing = False
        self.previews = False
        self._waiting: deque[Item] = deque()
        self._items: dict[int, Item] = {}
        self._events: list[Event] = []
        self._encoding = ThreadPoolExecutor(ENCODES)

    def announce(self, item: Item) -> None:
        """Know a picture that is on its way into the inbox."""
        with self.lock:
            self._items[item.number] = item

    def put(self, item: Item) -> None:
        """Let a picture wait to be begun, unless it was cancelled meanwhile."""
        with self.lock:
            if item.state == "queued":
                self._waiting.append(item)
                self.lock.notify_all()

    def cancel(self, token: int) -> None:
        """Give a picture up; nothing more is said of it."""
        with self.lock:
            item = self._items.pop(token, None)
            if item is not None:
                item.state = "cancelled"
                if item in self._waiting:
                    self._waiting.remove(item)
        self._ended(token)

    def refuse(self, token: int, error: LorasmithError) -> None:
        """Say of a picture that never came in that it cannot be drawn."""
        with self.lock:
            self._events.append(Failed(token, portable(error)))
            self.lock.notify_all()
        self._ended(token)

    def close(self) -> None:
        """Begin nothing more."""
        with self.lock:
            self.closing = True
            self.lock.notify_all()

    def stop(self) -> None:
        """Return when what is drawn is encoded."""
        self._encoding.shutdown(wait=True)

    def hear(self, seconds: float) -> tuple[Event, ...]:
        """What there is to say, waiting up to `seconds` for it."""
        with self.lock:
            if not self._events:
                self.lock.wait_for(lambda: self._events or self.closing, seconds)
            said, self._events = tuple(self._events), []
            return said

    # What the worker asks and tells

    def wait(self) -> None:
        with self.lock:
            while not (self.closing or self._waiting):
                self.lock.wait()

    def take(self, fits: Callable[[Item], bool]) -> Item | None:
        with self.lock:
            item = None if self.closing else next((item for item in self._waiting if fits(item)), None)
            if item is not None:
                self._waiting.remove(item)
                item.state = "running"
            return item

    def begin(self, item: Item, steps: int) -> None:
        self._say(item, Begun(item.number, steps))

    def move(self, item: Item, step: int, steps: int, preview: Image | None) -> None:
        self._say(item, Moved(item.number, step, steps, preview))

    def fail(self, item: Item, error: LorasmithError) -> None:
        self._end(item, Failed(item.number, portable(error)))

    def finish(self, item: Item, picture: Picture | FinishedPicture) -> None:
        self._encoding.submit(self._encode, item, picture)

    def wants_previews(self) -> bool:
        return self.previews

    def dismiss(self) -> None:
        self.close()

    def _encode(self, item: Item, picture: Picture | FinishedPicture) -> None:
        try:
            finished = picture if isinstance(picture, FinishedPicture) else finish_picture(picture)
        except Exception as fault:  # the client must be told, whatever it was
            self.fail(item, LorasmithError(f"the picture could not be written: {fault}."))
        else:
            self._end(item, Drawn(item.number, finished))

    def _say(self, item: Item, event: Event) -> None:
        with self.lock:
            if item.number in self._items:
                self._events.append(event)
                self.lock.notify_all()

    def _end(self, item: Item, event: Event) -> None:
        with self.lock:
            self._say(item, event)
            self._items.pop(item.number, None)
            item.state = "failed" if isinstance(event, Failed) else "done"
        self._ended(item.number)


class Replica:
    """Draws orders on the bases and with the adapters of `settings`. Any thread may call any method; `hear` waits."""

    def __init__(self, settings: ServerSettings, preload: str | None = None, loader: Loader | None = None) -> None:
        self._settings = settings
        self._stored = open_stored(settings)
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._files: dict[int, tuple[str, ...]] = {}
        self._inputs = tempfile.TemporaryDirectory(prefix="lorasmith-inputs-")
        self._metrics = Metrics()
        for name, text in DRAWN.items():
            self._metrics.counter(name, text)
        self._inbox = Inbox(self._release)
        self._worker = EngineWorker(list_bases(settings.bases), settings, self._input_path, self._metrics, loader)
        self._fetching = None if self._stored is None else ThreadPoolExecutor(FETCHES)
        self._worker.start(self._inbox, preload)

    def who(self) -> tuple[str, str, int]:
        """The versions of lorasmith and of Python there, and the process."""
        return __version__, platform.python_version(), os.getpid()

    def take(self, orders: Sequence[Order]) -> None:
        """Draw these; what comes of them is heard. Their adapters are fetched while others are in the making."""
        for order in orders:
            try:
                self._keep(order)
                item = new_job("", POLICY, [read_stored(order.spec)]).items[0]
            except LorasmithError as error:
                self._inbox.refuse(order.token, error)
                continue
            item.number = order.token
            self._inbox.announce(item)
            if self._fetching is None or not order.adapters:
                self._inbox.put(item)
            else:
                self._fetching.submit(self._fetch, item, order.adapters)

    def cancel(self, tokens: Sequence[int]) -> None:
        """Give pictures up; they stop within a step."""
        for token in tokens:
            self._inbox.cancel(token)

    def unload(self) -> None:
        """Let the base go when nothing is in the making."""
        self._worker.unload()

    def hear(self, seconds: float, previews: bool) -> Report:
        """What happened, waiting up to `seconds` for it; whether previews are wanted from now on."""
        self._inbox.previews = previews
        events = self._inbox.hear(seconds)
        gone: tuple[str, ...] = ()
        if self._stored is not None:
            left = self._stored.counts.gone
            gone = tuple(left.pop() for _ in range(len(left)))
        return Report(
            events=events,
            totals={name: self._metrics.total(name) for name in DRAWN},
            figures=read_figures(self._settings),
            base=self._worker.base,
            hashes=dict(self._worker.hashes),
            gone=gone,
        )

    def close(self) -> None:
        """Begin nothing more, and end what is in the making."""
        self._inbox.close()
        if self._fetching is not None:
            self._fetching.shutdown(wait=False, cancel_futures=True)
        self._worker.join()
        self._inbox.stop()
        self._inputs.cleanup()

    def _fetch(self, item: Item, adapters: Sequence[str]) -> None:
        assert self._stored is not None
        try:
            for name in adapters:
                self._stored.fetch(name)
        except LorasmithError as error:
            self._inbox.fail(item, error)
        except Exception as fault:  # the client must be told, whatever it was
            self._inbox.fail(item, LorasmithError(f"an adapter could not be fetched: {fault}."))
        else:
            self._inbox.put(item)

    def _keep(self, order: Order) -> None:
        """Keep the files of an order until it has ended. Raises StorageError."""
        with self._lock:
            self._files[order.token] = tuple(order.files)
            self._held.update(order.files)
            for name, data in order.files.items():
                if not self._input_path(name).is_file():
                    write_file(self._input_path(name), data)

    def _release(self, token: int) -> None:
        with self._lock:
            for name in self._files.pop(token, ()):
                self._held[name] -= 1
                if not self._held[name]:
                    del self._held[name]
                    self._input_path(name).unlink(missing_ok=True)

    def _input_path(self, name: str) -> Path:
        return Path(self._inputs.name) / name
