"""The worker of this process: one thread that loads bases and draws what the board gives it, together wherever that is
possible."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from lorasmith.errors import LorasmithError
from lorasmith.server.bases import BaseEntry, find_base
from lorasmith.server.interfaces import Engine, InputPath, Loader, WorkSource
from lorasmith.server.jobs import Item
from lorasmith.server.metrics import Metrics
from lorasmith.server.settings import ServerSettings
from lorasmith.server.stored import read_figures

_LOG = logging.getLogger("lorasmith.server")
PREVIEW_EVERY = 0.4
"""Seconds between previews, while somebody looks."""

UNLOAD_SECONDS = 1.0
"""How long to wait for a worker at rest; one that draws lets the base go when it is done."""

STEP_SECONDS = 1.0
"""What a step may take without being given up for one of its pictures."""

DRAWN = {
    "lorasmith_steps_total": "Steps of pictures drawn.",
    "lorasmith_rounds_total": "Steps of the engine; steps over rounds is the mean number drawn together.",
    "lorasmith_drawing_seconds_total": "Time in which something was being drawn.",
    "lorasmith_base_loads_total": "How often a base was loaded.",
}
"""What a worker counts."""


class EngineWorker:
    """A thread that takes pictures while there is room in its engine, and steps the engine.

    One base is in memory at a time. Pictures of other company wait until those in the making are done.
    """

    def __init__(
        self,
        bases: Sequence[BaseEntry],
        settings: ServerSettings,
        input_path: InputPath,
        metrics: Metrics,
        loader: Loader | None = None,
    ) -> None:
        self.base: str | None = None
        self.hashes: dict[str, str] = {}
        self._bases = bases
        self._settings = settings
        self._input_path = input_path
        self._metrics = metrics
        self._loader = loader
        self._thread: threading.Thread | None = None
        self._engine: Engine | None = None
        self._drawing: list[Item] = []
        self._deadline: float | None = None
        self._last_preview = 0.0
        self._busy = threading.Lock()
        self._unwanted = False

    def start(self, source: WorkSource, preload: str | None = None) -> None:
        self._thread = threading.Thread(target=self._run, args=(source, preload), name="lorasmith-worker", daemon=True)
        self._thread.start()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    @property
    def figures(self) -> Mapping[str, float]:
        return read_figures(self._settings)

    def unload(self) -> None:
        self._unwanted = True
        if self._busy.acquire(timeout=UNLOAD_SECONDS):
            try:
                self._rest()
            finally:
                self._busy.release()

    def _rest(self) -> None:
        """What is done while nothing is in the making."""
        if self._unwanted:
            self._unwanted = False
            self._engine, self.base = None, None
            gc.collect()

    def _run(self, source: WorkSource, preload: str | None) -> None:
        try:
            with self._busy:
                if preload is not None:
                    self._preload(preload)
                self._work(source)
        finally:
            source.dismiss()

    def _work(self, source: WorkSource) -> None:
        while True:
            if not self._drawing:
                self._rest()
                self._busy.release()
                try:
                    source.wait()
                finally:
                    self._busy.acquire()
            if self._is_over(source):
                return
            try:
                self._drop_cancelled()
                self._fill(source)
                self._step(source)
            except Exception as fault:  # whatever breaks, the server goes on with the next picture
                _LOG.exception("drawing failed")
                self._give_up(source, fault)

    def _preload(self, name: str) -> None:
        try:
            self._load(name)
        except LorasmithError as error:
            _LOG.warning("%s", error)

    def _load(self, name: str) -> Engine:
        if self._engine is not None and self.base == name:
            return self._engine
        self._engine, self.base = None, None
        gc.collect()
        entry = find_base(self._bases, name)
        if self._loader is None:
            from lorasmith.server.engine import load_engine

            self._loader = load_engine
        engine, self.hashes[entry.name] = self._loader(entry, self._settings, self._input_path)
        self._metrics.add("lorasmith_base_loads_total")
        self._engine, self.base = engine, entry.name
        return engine

    def _drop_cancelled(self) -> None:
        for item in [item for item in self._drawing if item.state != "running"]:
            self._drawing.remove(item)
            if self._engine is not None:
                self._engine.remove(item)

    def _fill(self, source: WorkSource) -> None:
        """Take pictures in while there is room; one that cannot be drawn fails at once."""
        while self._engine is None or self._engine.active < self._settings.batch_size:
            item = source.take(self._fits if self._drawing else lambda _: True)
            if item is None:
                return
            try:
                engine = self._load(item.base)
                self._company(engine, item)
                steps = engine.add(item, item.spec)
            except LorasmithError as error:
                source.fail(item, error)
                continue
            except Exception as fault:
                source.fail(item, LorasmithError(f"drawing failed: {fault}."))
                raise
            self._drawing.append(item)
            source.begin(item, steps)

    def _fits(self, item: Item) -> bool:
        """Whether a picture can join those in the making. One that cannot be drawn at all is taken out, to fail."""
        assert self._engine is not None
        if item.base != self.base:
            return False
        try:
            company = self._company(self._engine, item)
        except LorasmithError:
            return True
        return any(other.company == company for other in self._drawing)

    def _company(self, engine: Engine, item: Item) -> Hashable:
        """What a picture can be drawn together with on its base; the engine is asked once."""
        if item.company is None:
            item.company = engine.company(item.spec)
        return item.company

    def _step(self, source: WorkSource) -> None:
        engine = self._engine
        if engine is None or not engine.active:
            return
        now = time.monotonic()
        previews = now - self._last_preview >= PREVIEW_EVERY and source.wants_previews()
        if previews:
            self._last_preview = now
        together = engine.active
        done = engine.step(previews, lambda: self._gives_up(source, now))
        self._metrics.add("lorasmith_rounds_total")
        self._metrics.add("lorasmith_steps_total", together)
        self._metrics.add("lorasmith_drawing_seconds_total", time.monotonic() - now)
        for moved in done.moved:
            source.move(_item(moved.ticket), moved.step, moved.steps, moved.preview)
        for ticket, error in done.failed:
            self._drawing.remove(_item(ticket))
            source.fail(_item(ticket), error)
        for ticket, picture in done.finished:
            self._drawing.remove(_item(ticket))
            source.finish(_item(ticket), picture)

    def _gives_up(self, source: WorkSource, since: float) -> bool:
        """Whether a step that began at `since` is in vain. Others need not draw theirs again for a picture that is
        cancelled, unless the step is a long one."""
        cancelled = [item.state != "running" for item in self._drawing]
        is_long = time.monotonic() > since + STEP_SECONDS
        return all(cancelled) or (any(cancelled) and is_long) or self._is_over(source)

    def _is_over(self, source: WorkSource) -> bool:
        """Whether the source has closed and nothing is in the making, or its grace is over."""
        if not source.closing:
            return False
        self._deadline = self._deadline or time.monotonic() + self._settings.grace
        return not self._drawing or time.monotonic() > self._deadline

    def _give_up(self, source: WorkSource, fault: Exception) -> None:
        """Everything in the making fails, and the base is loaded anew for the next picture."""
        self._engine, self.base = None, None
        error = fault if isinstance(fault, LorasmithError) else LorasmithError(f"drawing failed: {fault}.")
        for item in self._drawing:
            source.fail(item, error)
        self._drawing.clear()
        gc.collect()


def _item(ticket: Any) -> Item:
    assert isinstance(ticket, Item)
    return ticket
