"""What a learning-rate schedule is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lorasmith.schema import StrictTable


class ScheduleOptions(StrictTable):
    """A schedule's own options. Here: none."""

    tolerated: ClassVar[frozenset[str]] = frozenset()
    """Options that may stand beside a schedule that has no use for them."""


@dataclass(frozen=True)
class ScheduleWords:
    """What other trainers call a schedule. `kohya`: its `lr_scheduler` at sd-scripts, empty: it has none; `warming`:
    the same where there is a warm-up; `also`: what else is read as it. `arguments`: kohya's arguments to our options.
    `hub`: its name at the hub's trainer."""

    kohya: str = ""
    warming: str = ""
    also: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    hub: str = ""


@dataclass(frozen=True)
class Schedule:
    """A schedule: `name` in recipes; `factor` on the learning rate, from the progress after the warm-up, 0 to 1 and
    above, and the entry's own options."""

    name: str
    factor: Callable[[float, Any], float]
    options: type[ScheduleOptions] = ScheduleOptions
    words: ScheduleWords = ScheduleWords()
