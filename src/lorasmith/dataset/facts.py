"""The facts of image files: decoded to their last byte once, then known."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorasmith.dataset.index import Index
from lorasmith.dataset.measuring import ENDS_PROCESS, Measure, take_ahead
from lorasmith.errors import ImageError
from lorasmith.events import Progress, Work
from lorasmith.images.crops import Box
from lorasmith.images.opening import ImageFacts, look_at
from lorasmith.pools.pool import Job


@dataclass(frozen=True)
class _Whole:
    path: Path
    crop: Box | None = None


def read_facts(index: Index, paths: Sequence[Path]) -> Work[list[ImageFacts | str]]:
    """Of each file its facts, or why it is no image that can be read, also because it ends every process that reads
    it."""
    found: dict[int, ImageFacts | str] = {}
    subjects: list[_Whole] = []
    stats: list[os.stat_result] = []
    places: list[int] = []
    for place, path in enumerate(paths):
        try:
            stats.append(path.stat())
        except OSError as fault:
            found[place] = f"cannot be opened: {fault.strerror}."
            continue
        subjects.append(_Whole(path))
        places.append(place)

    def complain(number: int, fault: Exception) -> None:
        if not isinstance(fault, ImageError):
            raise fault
        found[places[number]] = f"{fault.message} {fault.hint or ''}".strip()

    ends = yield from take_ahead(index, FACTS, subjects, stats, complain)
    for number, place in enumerate(places):
        if number in ends:
            found[place] = ENDS_PROCESS
        elif place not in found:
            found[place] = ImageFacts(paths[place], *(index.known(FACTS.topic, paths[place], stats[number]) or ()))
    yield Progress(FACTS.stage, len(paths), len(paths))
    return [found[place] for place in range(len(paths))]


def open_facts() -> Callable[[tuple[Path, Box | None]], list[object]]:
    """Of a file the facts as the index keeps them."""

    def take(place: tuple[Path, Box | None]) -> list[object]:
        facts = look_at(place[0])
        return [facts.width, facts.height, facts.format, facts.sha256, facts.moves]

    return take


FACTS = Measure("facts 2", Job(open_facts), "reading images")
