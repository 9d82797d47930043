"""The two borders behind the job board: a worker, which draws what the board gives it, and the engine inside one.

The worker here is a thread (`worker.EngineWorker`); what draws elsewhere can stand in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lorasmith.errors import LorasmithError
from lorasmith.generation.spec import PictureSpec
from lorasmith.server.bases import BaseEntry
from lorasmith.server.finished import FinishedPicture
from lorasmith.server.jobs import Item
from lorasmith.server.settings import ServerSettings

if TYPE_CHECKING:  # what draws is not imported before the first picture
    from PIL.Image import Image

    from lorasmith.generation.pictures import Picture


class WorkSource(Protocol):
    """Where a worker's pictures come from, and where it tells what becomes of them. Safe from any thread."""

    @property
    def closing(self) -> bool:
        """Whether nothing more is given out."""

    def wait(self) -> None:
        """Return when a picture waits or the source closes."""

    def take(self, fits: Callable[[Item], bool]) -> Item | None:
        """The next picture in turn that fits; it is the worker's until that says `fail` or `finish`, or finds that it
        is running no more."""

    def begin(self, item: Item, steps: int) -> None:
        """A picture is in the making."""

    def move(self, item: Item, step: int, steps: int, preview: Image | None) -> None:
        """A picture came a step further."""

    def fail(self, item: Item, error: LorasmithError) -> None:
        """A picture cannot be drawn."""

    def finish(self, item: Item, picture: Picture | FinishedPicture) -> None:
        """A picture is drawn."""

    def wants_previews(self) -> bool:
        """Whether anybody looks at pictures in the making."""

    def dismiss(self) -> None:
        """The worker goes: what it has not drawn will not be drawn."""


class Worker(Protocol):
    """A body that draws what a source gives it, until that closes."""

    @property
    def base(self) -> str | None:
        """The name of the base in memory."""

    @property
    def hashes(self) -> Mapping[str, str]:
        """The content hashes of the bases that were loaded so far, by name."""

    @property
    def figures(self) -> Mapping[str, float]:
        """How the caches of stores' adapters do, by the names in `lorasmith.server.stored`; none without stores."""

    def start(self, source: WorkSource, preload: str | None = None) -> None:
        """Begin, with a base in memory if one is named."""

    def unload(self) -> None:
        """Let the base go, when nothing is in the making; the next picture loads what it needs."""

    def join(self) -> None:
        """Return when the source has closed and nothing is in the making, or the grace is over."""


@dataclass(frozen=True)
class Moved:
    """A picture that is `step` of `steps` far; `preview` where one was made."""

    ticket: Hashable
    step: int
    steps: int
    preview: Image | None = None


@dataclass(frozen=True)
class Round:
    """What one step brought: what moved on, and what is finished."""

    moved: tuple[Moved, ...] = ()
    finished: tuple[tuple[Hashable, Picture], ...] = ()
    failed: tuple[tuple[Hashable, LorasmithError], ...] = ()


class Engine(Protocol):
    """Draws the specs that were added, together, one step at a time; lives in one thread."""

    @property
    def active(self) -> int:
        """How many pictures are in the making."""

    def company(self, spec: PictureSpec) -> Hashable:
        """Orders with equal company are drawn together. Raises LorasmithError for what cannot be drawn at all."""

    def add(self, ticket: Hashable, spec: PictureSpec) -> int:
        """Take a spec in; gives its steps. Raises LorasmithError, and nothing is added."""

    def step(self, previews: bool, stop: Callable[[], bool]) -> Round:
        """One step of everything in the making. `stop` is asked meanwhile; when it says yes the step is given up, all
        stand where they stood, and nothing is told."""

    def remove(self, ticket: Hashable) -> None:
        """Give up a picture."""


InputPath = Callable[[str], Path]
"""Where the file of a picture lies that specs start from, by its hash."""
Loader = Callable[[BaseEntry, ServerSettings, InputPath], tuple[Engine, str]]
"""Gives an engine on a base, and the base's content hash. Raises LorasmithError."""
