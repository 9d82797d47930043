"""The choice of a snapshot: successive halving on common questions and seeds, and the courage to say "no winner".

Jamieson & Talwalkar 2016. The pictures that choose are never the pictures that report: the winner's score on its
own election is too good by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lorasmith.events import Work
from lorasmith.exam.figures import paired_difference

#: Questions answered by every snapshot still in the race, round by round (cumulative).
ROUNDS = (24, 48, 96)


class Answering(Protocol):
    """Answers questions `start` to `stop` with one snapshot: True where the answer is right."""

    def __call__(self, snapshot: Path, start: int, stop: int) -> Work[list[bool]]: ...


@dataclass(frozen=True)
class Choice:
    """Which snapshot, on what evidence.

    `answers`: right or wrong per snapshot as far as it came; `tied`: snapshots that the last round could not tell
    from the leader (with more than one, the earliest was taken); `clear`: whether one snapshot won.
    """

    chosen: Path
    clear: bool
    tied: tuple[Path, ...]
    answers: Mapping[Path, Sequence[bool]]

    def as_json(self) -> dict[str, Any]:
        return {
            "chosen": str(self.chosen),
            "clear": self.clear,
            "tied": [str(path) for path in self.tied],
            "rounds": [
                {
                    "snapshot": str(path),
                    "questions": len(right),
                    "score": round(sum(right) / len(right), 4) if right else None,
                }
                for path, right in self.answers.items()
            ],
        }


def choose(snapshots: Sequence[Path], answer: Answering, rounds: Sequence[int] = ROUNDS) -> Work[Choice]:
    """Halve `snapshots` (in training order, earliest first) round by round; at least two stay to the last round.

    The winner is clear when the paired 95 % interval of its lead over every other finalist is above zero;
    otherwise the earliest of the tied is taken, because what is trained less is spoilt less.
    """
    answers: dict[Path, list[bool]] = {path: [] for path in snapshots}
    if len(snapshots) == 1:
        return Choice(snapshots[0], True, (snapshots[0],), answers)
    racing = list(snapshots)
    start = 0
    for number, stop in enumerate(rounds):
        for path in racing:
            answers[path] += yield from answer(path, start, stop)
        start = stop
        if number < len(rounds) - 1:
            keep = max(2, -(-len(racing) // 2))
            best = sorted(racing, key=lambda path: -sum(answers[path]))[:keep]
            racing = [path for path in racing if path in best]
    leader = max(racing, key=lambda path: sum(answers[path]))
    tied = tuple(path for path in racing if path == leader or paired_difference(answers[leader], answers[path])[1] <= 0)
    return Choice(tied[0], len(tied) == 1, tied, answers)


def candidates(snapshots: Sequence[Path], most: int) -> list[Path]:
    """At most `most` of `snapshots`, evenly spaced, the last one always among them."""
    if len(snapshots) <= most:
        return list(snapshots)
    if most == 1:
        return [snapshots[-1]]
    last = len(snapshots) - 1
    return [snapshots[round(last * i / (most - 1))] for i in range(most)]
