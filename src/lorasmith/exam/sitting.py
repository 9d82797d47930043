"""An exam under way: draws rows batch by batch, looks at the pictures, keeps what it saw, tells how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import TypeVar

from lorasmith.events import Progress, Work, eta
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

    def look(self, rows: Sequence[Row]) -> list[Look]:
        """One batch of rows, in their order: from what was kept, or drawn."""
        batch = [[str(part) for part in astuple(row)] for row in rows]
        known = self.kept.get(batch)
        if known is not None and len(known) == len(rows):
            self.found += len(rows)
            return known
        began = time.monotonic()
        looks = self.observer.look(self.artist.draw(rows))
        self.kept.put(batch, looks)
        self.pictures += len(rows)
        self.seconds += time.monotonic() - began
        return looks

    def look_at_all(self, clock: Clock, rows: Sequence[Row]) -> Work[list[Look]]:
        """Any number of rows, in batches."""
        looks: list[Look] = []
        for part in chunks(rows):
            looks += self.look(part)
            yield clock.tick(len(part))
        return looks

    def answer(
        self, clock: Clock, asked: Sequence[tuple[Question, bool]], adapter: Path, strength: float
    ) -> Work[list[Answer]]:
        """Each question by the adapter, and where the second says so by the bare base on the same seed."""
        answers: list[Answer] = []
        for part in chunks(asked):
            rows = [Row(question.prompt, question.seed, adapter, strength) for question, _ in part]
            rows += [Row(question.base_prompt, question.seed, None) for question, beside in part if beside]
            looks = self.look(rows)
            base = iter(looks[len(part) :])
            for (question, beside), look in zip(part, looks, strict=False):
                answers.append(Answer(question, look, next(base) if beside else None))
            yield clock.tick(len(rows))
        return answers

    @property
    def pace(self) -> float | None:
        """Seconds a picture; None before the first."""
        return self.seconds / self.pictures if self.pictures else None


def chunks(rows: Sequence[Thing]) -> Iterator[Sequence[Thing]]:
    """BATCH at a time."""
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
