"""An exam under way: draws rows batch by batch, looks at the pictures, keeps what it saw, tells how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import TypeVar

from lorasmith.events import Progress, Work, eta
from lorasmith.exam.crew import Crew
from lorasmith.exam.drawing import BATCH, Artist, Row
from lorasmith.exam.grading import Answer
from lorasmith.exam.looks import Kept, Look, Observer
from lorasmith.exam.questions import Question

Thing = TypeVar("Thing")


class Clock:
    """Counts a stage's pictures and tells how long the rest will take."""

    def __init__(self, stage: str, total: int) -> None:
        self.stage, self.total, self.done = stage, total, 0
        self.began = time.monotonic()

    def tick(self, count: int) -> Progress:
        self.done += count
        left = eta(self.began, self.done, self.total)
        return Progress(self.stage, self.done, max(self.total, self.done), left)


class Sitting:
    """Artist, judge and encoder at work. `pictures` and `seconds` count what was drawn by this process."""

    def __init__(self, artist: Artist, observer: Observer, kept: Kept) -> None:
        self.artist, self.observer, self.kept = artist, observer, kept
        self.pictures, self.seconds, self.found = 0, 0.0, 0

    def look_through(self, batches: Sequence[Sequence[Row]]) -> Iterator[list[Look]]:
        """Batch by batch, in their order: from what was kept, or drawn, by all of a crew where there is one."""
        known = [self._find(rows) for rows in batches]
        missing = [rows for rows, looks in zip(batches, known, strict=True) if looks is None]
        drawn = self.artist.draw_all(missing) if isinstance(self.artist, Crew) else map(self.artist.draw, missing)
        for rows, found in zip(batches, known, strict=True):
            if found is not None:
                self.found += len(rows)
                yield found
                continue
            began = time.monotonic()
            looks = self.observer.look(next(drawn))
            self.kept.put(_name(rows), looks)
            self.pictures += len(rows)
            self.seconds += time.monotonic() - began
            yield looks

    def _find(self, rows: Sequence[Row]) -> list[Look] | None:
        looks = self.kept.get(_name(rows))
        return looks if looks is not None and len(looks) == len(rows) else None

    def look_at_all(self, clock: Clock, rows: Sequence[Row]) -> Work[list[Look]]:
        """Any number of rows, in batches."""
        looks: list[Look] = []
        for part in self.look_through(list(chunks(rows))):
            looks += part
            yield clock.tick(len(part))
        return looks

    def answer(
        self, clock: Clock, asked: Sequence[tuple[Question, bool]], adapter: Path, strength: float
    ) -> Work[list[Answer]]:
        """Each question by the adapter, and where the second says so by the bare base on the same seed."""
        answers: list[Answer] = []
        parts = list(chunks(asked))
        batches = []
        for part in parts:
            rows = [Row(question.prompt, question.seed, adapter, strength) for question, _ in part]
            rows += [Row(question.base_prompt, question.seed, None) for question, beside in part if beside]
            batches.append(rows)
        for part, looks in zip(parts, self.look_through(batches), strict=True):
            base = iter(looks[len(part) :])
            for (question, beside), look in zip(part, looks, strict=False):
                answers.append(Answer(question, look, next(base) if beside else None))
            yield clock.tick(len(looks))
        return answers

    @property
    def pace(self) -> float | None:
        """Seconds a picture; None before the first."""
        return self.seconds / self.pictures if self.pictures else None


def chunks(rows: Sequence[Thing], size: int = BATCH) -> Iterator[Sequence[Thing]]:
    """`size` at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _name(rows: Sequence[Row]) -> list[list[str]]:
    """By what a batch is known again."""
    return [[str(part) for part in astuple(row)] for row in rows]
