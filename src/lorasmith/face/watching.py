"""How work is run where nobody draws its events."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

from lorasmith.events import Event, Note, Work, finish
from lorasmith.pools.choosing import dealt_out

T = TypeVar("T")
See = Callable[[Event], None]


def run(work: Work[T], see: See | None) -> T:
    """Run work to its end and give its result; `see` gets every event. Without it warnings become Python's."""
    with dealt_out():
        return finish(work, see or _warn)


def _warn(event: Event) -> None:
    if isinstance(event, Note) and event.level != "note":
        warnings.warn(event.message, UserWarning, stacklevel=5)
