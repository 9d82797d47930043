"""A server in a thread on a free port, and an engine that draws plain colours."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from lorasmith.errors import LorasmithError, UsageError
from lorasmith.generation.pictures import Picture
from lorasmith.generation.spec import PictureSpec
from lorasmith.server.bases import BaseEntry
from lorasmith.server.engine import open_start
from lorasmith.server.interfaces import Engine, InputPath, Moved, Round
from lorasmith.server.settings import ServerSettings
from lorasmith.server.uvicorn_server import UvicornServer, build_server
from lorasmith.server.workshop import Workshop


class PlainEngine:
    """Draws what was asked as one colour; every picture has its own step counter, and joins at any step.

    A prompt with "wrong" cannot be drawn, one with "broken" fails in the making. A step waits until `gate` is set.
    """

    def __init__(self, base: str, input_path: InputPath, gate: threading.Event, delay: float = 0.0) -> None:
        self.base = base
        self.delay = delay
        self.gate = gate
        self.most = 0
        self.drawn: list[str] = []
        self._input_path = input_path
        self._rows: dict[Hashable, tuple[PictureSpec, int]] = {}

    @property
    def active(self) -> int:
        return len(self._rows)

    def company(self, spec: PictureSpec) -> Hashable:
        return (spec.width, spec.height, spec.sampler)

    def add(self, ticket: Hashable, spec: PictureSpec) -> int:
        if "wrong" in spec.prompt:
            raise UsageError("it is wrong.")
        self._rows[ticket] = (spec, 0)
        return spec.steps

    def step(self, previews: bool, stop: Callable[[], bool]) -> Round:
        del stop
        self.gate.wait(600)
        time.sleep(self.delay)
        self.most = max(self.most, len(self._rows))
        moved, finished, failed = [], [], []
        for ticket, (spec, step) in list(self._rows.items()):
            self._rows[ticket] = (spec, step + 1)
            moved.append(Moved(ticket, step + 1, spec.steps, Image.new("RGB", (8, 8)) if previews else None))
            if "broken" in spec.prompt:
                failed.append((ticket, LorasmithError("it broke.")))
                del self._rows[ticket]
            elif step + 1 >= spec.steps:
                finished.append((ticket, self._picture(spec)))
                self.drawn.append(spec.prompt)
                del self._rows[ticket]
        return Round(tuple(moved), tuple(finished), tuple(failed))

    def remove(self, ticket: Hashable) -> None:
        self._rows.pop(ticket, None)

    def _picture(self, spec: PictureSpec) -> Picture:
        request = replace(open_start(spec, self._input_path), width=spec.width or 64, height=spec.height or 64)
        colour = tuple(hashlib.sha256(f"{spec.prompt}{spec.seed}".encode()).digest()[:3])
        image = Image.new("RGB", (spec.width or 64, spec.height or 64), colour)
        text = f"{spec.prompt}\nSteps: {spec.steps}, Sampler: {spec.sampler}, Seed: {spec.seed}, Size: 64x64"
        return Picture(image, request, (), self.base, "0" * 64, text)


class Plain:
    """A loader of `PlainEngine`s; remembers the last one and what was loaded. `gate`, cleared, holds all steps."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.loaded: list[str] = []
        self.engine: PlainEngine | None = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, entry: BaseEntry, _: ServerSettings, input_path: InputPath) -> tuple[Engine, str]:
        self.loaded.append(entry.name)
        self.engine = PlainEngine(entry.name, input_path, self.gate, self.delay)
        return self.engine, "ab" * 32


@contextmanager
def running(
    settings: ServerSettings, loader: Any = None, workshop: Workshop | None = None
) -> Iterator[tuple[httpx.Client, UvicornServer]]:
    """A started server and a client of it."""
    server = build_server(replace(settings, port=0), loader=loader, workshop=workshop)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    headers = {"authorization": f"Bearer {settings.token}"} if settings.token else {}
    try:
        with httpx.Client(base_url=server.address, headers=headers, timeout=600) as client:
            yield client, server
    finally:
        if isinstance(loader, Plain):
            loader.gate.set()
        server.stop()
        thread.join(600)
        assert not thread.is_alive()


def wait_for(true: Callable[[], bool], seconds: float = 600.0) -> None:
    """Return as soon as something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def plain_settings(folder: Path, **changes: Any) -> ServerSettings:
    """Settings for a test: data below `folder`."""
    return replace(ServerSettings(data=folder / "data", grace=5.0), **changes)


def finished(client: httpx.Client, job: str) -> dict[str, Any]:
    """A job once it is final."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.update(client.get(f"/api/v1/jobs/{job}").json())
        return found["state"] in ("done", "failed", "cancelled")

    wait_for(look)
    return found
