"""The worker: one thread that loads bases and draws what the queue gives it, together wherever that is possible."""

from __future__ import annotations

import gc
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from lorasmith.errors import LorasmithError
from lorasmith.server.bases import find_base
from lorasmith.server.jobs import Item

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from lorasmith.server.bases import BaseEntry
    from lorasmith.server.engine import Engine, InputPath
    from lorasmith.server.service import Service
    from lorasmith.server.settings import ServerSettings

    Loader = Callable[[BaseEntry, ServerSettings, InputPath], tuple[Engine, str]]

_LOG = logging.getLogger("lorasmith.server")
PREVIEW_EVERY = 0.4
"""Seconds between previews, while somebody looks."""


class Worker(threading.Thread):
    """Takes pictures from the service's queue while there is room in the engine, and steps the engine.

    One base is in memory at a time. Pictures of other company wait until those in the making are done.
    """

    def __init__(self, service: Service, loader: Loader | None = None) -> None:
        super().__init__(name="lorasmith-worker", daemon=True)
        self._service = service
        self._loader = loader
        self._engine: Engine | None = None
        self._drawing: list[Item] = []
        self._deadline: float | None = None
        self._last_preview = 0.0

    def run(self) -> None:
        """Until the service closes and nothing is in the making, or its grace is over."""
        try:
            self._work()
        finally:
            self._service.dismiss()

    def _work(self) -> None:
        service = self._service
        if service.settings.preload:
            self._preload()
        while True:
            with service.lock:
                while not (service.closing or self._drawing or len(service.queue)):
                    service.lock.wait()
                if service.closing:
                    self._deadline = self._deadline or time.monotonic() + service.settings.grace
                    if not self._drawing or time.monotonic() > self._deadline:
                        return
            try:
                self._drop_cancelled()
                if not service.closing:
                    self._fill()
                self._step()
            except Exception as fault:  # whatever breaks, the server goes on with the next picture
                _LOG.exception("drawing failed")
                self._give_up(fault)

    def _preload(self) -> None:
        try:
            self._load(self._service.default_base().name)
        except LorasmithError as error:
            _LOG.warning("%s", error)

    def _load(self, name: str) -> Engine:
        service = self._service
        if self._engine is not None and service.loaded_base == name:
            return self._engine
        self._engine, service.loaded_base = None, None
        gc.collect()
        entry = find_base(service.bases, name)
        if self._loader is not None:
            engine, content_hash = self._loader(entry, service.settings, service.store.input_path)
        else:
            from lorasmith.server.engine import load_engine

            engine, content_hash = load_engine(entry, service.settings, service.store.input_path)
        service.metrics.add("lorasmith_base_loads_total")
        service.base_hashes[entry.name] = content_hash
        self._engine, service.loaded_base = engine, entry.name
        return engine

    def _drop_cancelled(self) -> None:
        for item in [item for item in self._drawing if item.state != "running"]:
            self._drawing.remove(item)
            if self._engine is not None:
                self._engine.remove(item)

    def _fill(self) -> None:
        """Take pictures in while there is room; one that cannot be drawn fails at once."""
        service = self._service
        while self._engine is None or self._engine.active < service.settings.batch_size:
            item = service.take(self._fits if self._drawing else lambda _: True)
            if item is None:
                return
            try:
                engine = self._load(item.order.base)
                self._company(engine, item)
                steps = engine.add(item, item.order)
            except LorasmithError as error:
                service.fail(item, error)
                continue
            except Exception as fault:
                service.fail(item, LorasmithError(f"drawing failed: {fault}."))
                raise
            self._drawing.append(item)
            service.begin(item, steps)

    def _fits(self, item: Item) -> bool:
        """Whether a picture can join those in the making. One that cannot be drawn at all is taken out, to fail."""
        assert self._engine is not None
        if item.order.base != self._service.loaded_base:
            return False
        try:
            company = self._company(self._engine, item)
        except LorasmithError:
            return True
        return any(other.company == company for other in self._drawing)

    def _company(self, engine: Engine, item: Item) -> Hashable:
        """What a picture can be drawn together with on its base; the engine is asked once."""
        if item.company is None:
            item.company = engine.company(item.order)
        return item.company

    def _step(self) -> None:
        engine, service = self._engine, self._service
        if engine is None or not engine.active:
            return
        now = time.monotonic()
        previews = now - self._last_preview >= PREVIEW_EVERY and service.wants_previews()
        if previews:
            self._last_preview = now
        together = engine.active
        done = engine.step(previews)
        service.metrics.add("lorasmith_rounds_total")
        service.metrics.add("lorasmith_steps_total", together)
        service.metrics.add("lorasmith_drawing_seconds_total", time.monotonic() - now)
        for moved in done.moved:
            service.move(_item(moved.ticket), moved.step, moved.steps, moved.preview)
        for ticket, error in done.failed:
            self._drawing.remove(_item(ticket))
            service.fail(_item(ticket), error)
        for ticket, picture in done.finished:
            self._drawing.remove(_item(ticket))
            service.finish(_item(ticket), picture)

    def _give_up(self, fault: Exception) -> None:
        """Everything in the making fails, and the base is loaded anew for the next picture."""
        service = self._service
        self._engine, service.loaded_base = None, None
        error = fault if isinstance(fault, LorasmithError) else LorasmithError(f"drawing failed: {fault}.")
        for item in self._drawing:
            service.fail(item, error)
        self._drawing.clear()
        gc.collect()


def _item(ticket: Any) -> Item:
    assert isinstance(ticket, Item)
    return ticket
