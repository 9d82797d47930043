"""The choice of a snapshot and its strength: successive halving on common questions and seeds, and the courage to say
"cannot tell".

Jamieson & Talwalkar 2016. The pictures that choose are never the pictures that report: the winner's score on its
own election is too good by construction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from lorasmith.events import Work
from lorasmith.exam.figures import Z_95, paired_difference

#: Questions answered by every contender still in the race, round by round (cumulative).
ROUNDS = (20, 44, 88)
#: A later snapshot is taken for the leader when no more than this share of the answers speaks against it.
CLOSE = 0.02
#: The normal quantile of 80 % power.
Z_POWER = 0.8416212335729143
#: More pictures than this are never worth drawing to tell two snapshots apart.
ENDLESS = 20_000

T = TypeVar("T", bound=Hashable)
C = TypeVar("C", bound=Hashable, contravariant=True)


class Arm(NamedTuple):
    """A snapshot at a strength: what races."""

    snapshot: Path
    strength: float


class Answering(Protocol[C]):
    """Answers questions `start` to `stop` with one contender: True where the answer is right."""

    def __call__(self, contender: C, start: int, stop: int, /) -> Work[list[bool]]: ...


@dataclass(frozen=True)
class Choice(Generic[T]):
    """Which contender, on what evidence.

    `answers`: right or wrong per contender as far as it came; `tied`: the best contender of each kind that the last
    round could not tell from the leader; `clear`: whether one kind won; `more`: questions that each of the tied would
    have to answer to tell them apart (80 % power; None: no number that is worth it, or nothing to tell).
    """

    chosen: T
    clear: bool
    tied: tuple[T, ...]
    answers: Mapping[T, Sequence[bool]]
    more: int | None = None


def choose(
    contenders: Sequence[T],
    answer: Answering[T],
    rounds: Sequence[int] = ROUNDS,
    *,
    bar: float = 0.0,
    kind: Callable[[T], object] = lambda contender: contender,
    line: Callable[[T], object] | None = None,
) -> Work[Choice[T]]:
    """Halve `contenders` (in training order, earliest first) round by round; at least two stay to the last round. Of
    one `kind` (a snapshot at several strengths) only the best one stays after the first. After the first round those
    of one `line` (snapshots at one strength) count with their neighbours in it, as what lies beside each other in
    training is alike; later ones go first where that is even.

    The winner is clear when the paired 95 % interval of its lead over the finalists of every other `kind` is above
    zero. Otherwise the latest of the tied is taken that is CLOSE to the leader: chance tells them apart, and what has
    learnt longest was best most often where it was measured (docs/exam.md). Where even the leader's score is below
    `bar` the leader is taken.
    """
    answers: dict[T, list[bool]] = {contender: [] for contender in contenders}
    if len(contenders) == 1:
        return Choice(contenders[0], True, (contenders[0],), answers)
    racing: list[T] = list(contenders)
    start = 0
    for number, stop in enumerate(rounds):
        for contender in racing:
            answers[contender] += yield from answer(contender, start, stop)
        start = stop
        if number < len(rounds) - 1:
            scores = {one: float(sum(answers[one])) for one in racing}
            if line is not None and start == rounds[0]:
                scores = _with_neighbours(racing, scores, line)
            leading: dict[object, T] = {}
            for contender in sorted(racing, key=lambda one: (-scores[one], -racing.index(one))):
                leading.setdefault(kind(contender), contender)
            best = list(leading.values())[: max(2, -(-len(leading) // 2))]
            racing = [contender for contender in racing if contender in best]
    leader = max(reversed(racing), key=lambda one: sum(answers[one]))
    tied = tuple(one for one in racing if one == leader or paired_difference(answers[leader], answers[one])[1] <= 0)
    learnt = sum(answers[leader]) >= bar * len(answers[leader])
    rival = max((one for one in tied if one != leader), key=lambda one: sum(answers[one]), default=None)
    more = None if rival is None else pictures_to_tell(answers[leader], answers[rival])
    least = sum(answers[leader]) - CLOSE * len(answers[leader])
    close = next(one for one in reversed(tied) if sum(answers[one]) >= least)
    return Choice(close if learnt else leader, len(tied) == 1, tied, answers, more)


def _with_neighbours(racing: Sequence[T], scores: Mapping[T, float], line: Callable[[T], object]) -> dict[T, float]:
    """Each score as the mean of its line's one before, twice itself, and the one behind; at an end itself again."""
    smooth: dict[T, float] = {}
    for which in dict.fromkeys(map(line, racing)):
        own = [one for one in racing if line(one) == which]
        for place, one in enumerate(own):
            before, behind = own[max(0, place - 1)], own[min(len(own) - 1, place + 1)]
            smooth[one] = (scores[before] + 2 * scores[one] + scores[behind]) / 4
    return smooth


def pictures_to_tell(ours: Sequence[bool], theirs: Sequence[bool]) -> int | None:
    """Pairs that show a lead as large as this one at 95 % with 80 % power (Connor 1987, without its correction):
    ``(z sqrt(q) + z' sqrt(q - d^2))^2 / d^2`` with the share q of pairs that disagree and the lead d."""
    disagree = sum(a != b for a, b in zip(ours, theirs, strict=True)) / len(ours)
    lead = (sum(ours) - sum(theirs)) / len(ours)
    if lead <= 0:
        return None
    needed = (Z_95 * math.sqrt(disagree) + Z_POWER * math.sqrt(max(0.0, disagree - lead * lead))) ** 2 / (lead * lead)
    return math.ceil(needed) if needed <= ENDLESS else None


def race_cost(kinds: int, rounds: Sequence[int], each: int = 1) -> int:
    """Answers that the halving will ask for, with so many contenders of `each` kind."""
    if kinds * each < 2:
        return 0
    cost, start, racing = 0, 0, kinds * each
    for stop in rounds:
        cost += racing * (stop - start)
        start, kinds = stop, min(kinds, max(2, -(-kinds // 2)))
        racing = kinds
    return cost


def candidates(snapshots: Sequence[Path], most: int) -> list[Path]:
    """At most `most` of `snapshots`, evenly spaced, the last one always among them."""
    if len(snapshots) <= most:
        return list(snapshots)
    if most == 1:
        return [snapshots[-1]]
    last = len(snapshots) - 1
    return [snapshots[round(last * i / (most - 1))] for i in range(most)]


def choice_as_json(choice: Choice[Arm]) -> dict[str, Any]:
    """As it stands in an exam's document."""
    return {
        "chosen": str(choice.chosen.snapshot),
        "strength": choice.chosen.strength,
        "clear": choice.clear,
        "tied": [str(arm.snapshot) for arm in choice.tied],
        "more": choice.more,
        "rounds": [
            {
                "snapshot": str(arm.snapshot),
                "strength": arm.strength,
                "questions": len(right),
                "score": round(sum(right) / len(right), 4) if right else None,
            }
            for arm, right in choice.answers.items()
        ],
    }
