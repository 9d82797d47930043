"""Measures of image files, taken ahead by a pool and kept in the index. A file that ends every process that reads it is
named, and known for it for a while."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lorasmith.dataset.index import Index
from lorasmith.errors import DatasetError
from lorasmith.events import Note, Work
from lorasmith.images.crops import Box
from lorasmith.pools.dealing import deal_out
from lorasmith.pools.pool import Job

ENDS_PROCESS = "it ends every process that reads it."
_ENDS = "ends processes-1"
_AGAIN = 3600.0
"""Seconds after which such a file is tried again: a process also ends where memory is short."""
_AT_WORK = "at_work"


class Subject(Protocol):
    """A file to be measured, or the part of it that `crop` says (pixels of the upright picture)."""

    @property
    def path(self) -> Path: ...
    @property
    def crop(self) -> Box | None: ...


@dataclass(frozen=True)
class Measure:
    """What is taken: under which topic of the index it is kept, as bytes if it is `packed`, else as JSON; the job that
    takes it of (path, crop); and what that is called while it goes on."""

    topic: str
    job: Job
    stage: str
    packed: bool = False

    def is_known(self, index: Index, subject: Subject, stat: os.stat_result) -> bool:
        """Whether the index has it of the file as it is."""
        look = index.known_bytes if self.packed else index.known
        return look(topic_of(self.topic, subject), subject.path, stat) is not None

    def is_lost(self, index: Index, subject: Subject, stat: os.stat_result) -> bool:
        """Whether taking it has ended every process a short while ago."""
        when = index.known(self.lost_topic(subject), subject.path, stat)
        return when is not None and time.time() < when + _AGAIN

    def lost_topic(self, subject: Subject) -> str:
        """Where it is kept when taking it has ended every process."""
        return f"{_ENDS} {topic_of(self.topic, subject)}"

    def learn(self, index: Index, subject: Subject, stat: os.stat_result, taken: object) -> None:
        """Keep it."""
        if self.packed:
            assert isinstance(taken, bytes)
            index.learn_bytes(topic_of(self.topic, subject), subject.path, stat, taken)
        else:
            index.learn(topic_of(self.topic, subject), subject.path, stat, taken)


def take_ahead(
    index: Index,
    measure: Measure,
    subjects: Sequence[Subject],
    stats: Sequence[os.stat_result],
    complain: Callable[[int, Exception], None] | None = None,
) -> Work[frozenset[int]]:
    """Have what the index lacks taken, and give the places of the subjects that end every process that reads them.

    What is raised of one goes to `complain`; without it, it is raised.
    """
    unknown = [
        place
        for place, (subject, stat) in enumerate(zip(subjects, stats, strict=True))
        if not measure.is_known(index, subject, stat)
    ]
    lost = {place for place in unknown if measure.is_lost(index, subjects[place], stats[place])}
    todo = [place for place in unknown if place not in lost]
    if not todo:
        return frozenset(lost)

    def learn(number: int, taken: object) -> None:
        place = todo[number]
        measure.learn(index, subjects[place], stats[place], taken)
        index.save()

    ends = yield from deal_out(
        measure.job,
        [(subjects[place].path, subjects[place].crop) for place in todo],
        measure.stage,
        learn,
        at_work=index.folder / _AT_WORK,
        complain=complain and (lambda number, fault: complain(todo[number], fault)),
    )
    for number in ends:
        place = todo[number]
        index.learn(
            f"{_ENDS} {topic_of(measure.topic, subjects[place])}", subjects[place].path, stats[place], time.time()
        )
        lost.add(place)
    return frozenset(lost)


def warn_of_lost(names: Sequence[str], purpose: str) -> Iterator[Note]:
    """That images are left out of something, because they end processes."""
    for name in names:
        yield Note(f"{name}: left out of {purpose}: {ENDS_PROCESS}", "warning")


def topic_of(measure: str, subject: Subject) -> str:
    """Under which topic of the index a measure of an image is kept: of its crop apart from that of the whole."""
    return measure if subject.crop is None else f"{measure} {','.join(map(str, subject.crop))}"


def read_stat(path: Path) -> os.stat_result:
    """Size and time of a file. Raises DatasetError when it went away."""
    try:
        return path.stat()
    except OSError as fault:
        raise DatasetError(
            f"went away while it was being looked at ({fault.strerror}).", where=path, hint="Try again."
        ) from None
