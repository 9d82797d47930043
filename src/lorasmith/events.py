"""The event stream: the core yields events and returns a value, the faces render them.

Long work is a generator of events whose return value is its result (`Work[T]`). Work composes with
``result = yield from other_work()``; a caller that wants only the result uses `finish`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """Something that happened. `name` is the stable word for it in JSON."""

    name: ClassVar[str] = "event"

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready dict: ``{"event": name, ...fields}`` with paths as strings."""
        fields = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        return {"event": self.name, **fields}


@dataclass(frozen=True)
class Progress(Event):
    """`done` of `total` units of a stage; `eta` in seconds once it can be told."""

    name: ClassVar[str] = "progress"
    stage: str
    done: int
    total: int
    eta: float | None = None


@dataclass(frozen=True)
class Note(Event):
    """A sentence for the user. `level` is "note" or "warning"; `rule` the domain rule's id, if one speaks."""

    name: ClassVar[str] = "note"
    message: str
    level: str = "note"
    rule: str | None = None


@dataclass(frozen=True)
class StepDone(Event):
    """One optimizer step: `loss` is the mean of its micro-batches, `eta` in seconds, `rates` per group.

    `bands`: the recent mean unweighted loss by range of timesteps ("0-249"); `speed` in rows a second; `memory` in
    bytes, the most so far; `variant` names the member of a sweep.
    """

    name: ClassVar[str] = "step"
    step: int
    steps: int
    epoch: int
    loss: float
    rates: dict[str, float]
    eta: float | None = None
    bands: dict[str, float] | None = None
    speed: float | None = None
    memory: int | None = None
    variant: str = ""


@dataclass(frozen=True)
class Validated(Event):
    """The loss on the held-out images with the adapter, and of the base by itself; always on the same noise. `bands`
    and `base_bands`: the same by range of timesteps ("0-249")."""

    name: ClassVar[str] = "validation"
    step: int
    loss: float
    base: float
    bands: dict[str, float] | None = None
    base_bands: dict[str, float] | None = None
    variant: str = ""


@dataclass(frozen=True)
class SnapshotSaved(Event):
    """An adapter file was written along the way."""

    name: ClassVar[str] = "snapshot"
    path: Path
    step: int
    epoch: int


@dataclass(frozen=True)
class Preview(Event):
    """How the picture of a request (`index`) looks after `step` of `steps`; `image` is a small PIL picture."""

    name: ClassVar[str] = "preview"
    index: int
    image: Any
    step: int
    steps: int

    def as_json(self) -> dict[str, Any]:
        """Without the pixels; their size instead."""
        size = list(self.image.size)
        return {"event": self.name, "index": self.index, "step": self.step, "steps": self.steps, "size": size}


@dataclass(frozen=True)
class SampleDrawn(Event):
    """A sample picture was drawn along the way."""

    name: ClassVar[str] = "sample"
    path: Path
    step: int
    prompt: str


@dataclass(frozen=True)
class Done(Event):
    """The last event of a training run."""

    name: ClassVar[str] = "done"
    adapter: Path
    run: Path
    steps: int
    seconds: float
    loss: float


@dataclass(frozen=True)
class SweepDone(Event):
    """The last event of a sweep: what each variant that came to its end made, by its name; `failed` says why others
    did not."""

    name: ClassVar[str] = "sweep_done"
    run: Path
    seconds: float
    variants: dict[str, dict[str, Any]]
    failed: dict[str, str]


def eta(began: float, done: float, total: float) -> float | None:
    """Seconds for what is left of `total` at the pace since `began` (of time.monotonic); None before anything is."""
    return (time.monotonic() - began) / done * max(0, total - done) if done > 0 else None


Work = Generator[Event, None, T]


class StageClock:
    """How long each stage of a work takes, in `seconds`, the first one first: what passes until a Progress comes counts
    for its stage, what passes after the last one for "the rest"."""

    rest = "the rest"

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, work: Work[T]) -> Work[T]:
        """The work with its events."""
        passed = 0.0
        while True:
            began = time.monotonic()
            try:
                event = next(work)
            except StopIteration as stop:
                self._add(self.rest, passed + time.monotonic() - began)
                result: T = stop.value
                return result
            passed += time.monotonic() - began
            if isinstance(event, Progress):
                self._add(event.stage, passed)
                passed = 0.0
            yield event

    def tell(self) -> str:
        """``41 s: fingerprinting images 12 s, ...``, the longest first; what takes less than a second is not named."""
        parts = sorted(self.seconds.items(), key=lambda part: -part[1])
        named = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in parts if seconds >= 1)
        return f"{sum(self.seconds.values()):.0f} s" + (f": {named}" if named else "")

    def _add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def finish(work: Work[T], see: Callable[[Event], None] | None = None) -> T:
    """Run work to its end and give its result; `see` is called with every event."""
    while True:
        try:
            event = next(work)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if see is not None:
            see(event)
