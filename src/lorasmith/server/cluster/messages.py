"""What is said between the process that has the queue and a replica. All of it can be pickled."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lorasmith.errors import LorasmithError
from lorasmith.server.finished import FinishedPicture

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Order:
    """A picture to draw: its spec as JSON (`stored_spec`), the adapters that it calls, and the files of the pictures
    that it starts from, by their names. A picture that is given out again has another token."""

    token: int
    spec: str
    adapters: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Begun:
    """A picture is in the making."""

    token: int
    steps: int


@dataclass(frozen=True)
class Moved:
    """A picture came a step further."""

    token: int
    step: int
    steps: int
    preview: Image | None = None


@dataclass(frozen=True)
class Failed:
    """A picture cannot be drawn."""

    token: int
    error: LorasmithError


@dataclass(frozen=True)
class Drawn:
    """A picture is drawn."""

    token: int
    picture: FinishedPicture


Event = Begun | Moved | Failed | Drawn


@dataclass(frozen=True)
class Report:
    """What a replica says at once: what happened since the last time, and how it stands. `totals` grow from its start;
    `gone` are adapters whose factors left its memory."""

    events: tuple[Event, ...] = ()
    totals: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    base: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lost:
    """A replica ended, and why as far as that is known; `greeted` when it could draw before."""

    reason: str
    greeted: bool = True


def portable(error: LorasmithError) -> LorasmithError:
    """The error, or its words where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # a class with an own constructor may raise anything there
        return LorasmithError(error.message, where=error.where, hint=error.hint, field=error.field)
    return error
