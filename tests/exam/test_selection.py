"""Halving finds the best snapshot, spends what it should, and says when nobody won."""

from __future__ import annotations

import random
from pathlib import Path

from lorasmith.events import Work, finish
from lorasmith.exam.selection import Arm, candidates, choose, pictures_to_tell, race_cost


class Exam:
    """Snapshots with known skill answering common questions."""

    def __init__(self, skills: dict[str, float], seed: int = 1) -> None:
        self.skills = {Path(name): skill for name, skill in skills.items()}
        self.seed = seed
        self.asked: list[tuple[str, int, int]] = []

    def answer(self, snapshot: Path, start: int, stop: int) -> Work[list[bool]]:
        self.asked.append((snapshot.name, start, stop))
        return [self._right(snapshot, i) for i in range(start, stop)]
        yield  # a generator, as the real one is

    def _right(self, snapshot: Path, question: int) -> bool:
        # One die a question, common to all snapshots: a better one is right wherever a worse one is.
        return random.Random(self.seed * 1000 + question).random() < self.skills[snapshot]


def test_the_best_wins_clearly() -> None:
    exam = Exam({"a": 0.2, "b": 0.5, "c": 0.9, "d": 0.6, "e": 0.4})
    choice = finish(choose(list(exam.skills), exam.answer))
    assert choice.chosen == Path("c")
    assert choice.clear
    assert choice.tied == (Path("c"),)


def test_rounds_halve_and_go_on_where_they_stopped() -> None:
    exam = Exam({name: i / 10 for i, name in enumerate("abcdefgh", 1)})
    finish(choose(list(exam.skills), exam.answer))
    assert [ask for ask in exam.asked if ask[1] == 0] == [(name, 0, 20) for name in "abcdefgh"]
    assert [ask[0] for ask in exam.asked if ask[1] == 20] == list("efgh")
    assert [ask for ask in exam.asked if ask[1] == 44] == [("g", 44, 88), ("h", 44, 88)]


def test_no_clear_winner_takes_the_latest_of_the_tied() -> None:
    exam = Exam({"early": 0.8, "middle": 0.8, "late": 0.8, "bad": 0.1})
    choice = finish(choose(list(exam.skills), exam.answer))
    assert not choice.clear
    assert choice.chosen == Path("late")
    assert len(choice.tied) == 2


def test_one_snapshot_needs_no_election() -> None:
    exam = Exam({"only": 0.5})
    choice = finish(choose(list(exam.skills), exam.answer))
    assert choice.chosen == Path("only")
    assert choice.clear
    assert exam.asked == []


def test_candidates_are_spaced_and_keep_the_last() -> None:
    paths = [Path(str(i)) for i in range(11)]
    assert candidates(paths, 6) == [Path(str(i)) for i in (0, 2, 4, 6, 8, 10)]
    assert candidates(paths, 1) == [Path("10")]
    assert candidates(paths[:3], 6) == paths[:3]


def test_below_the_bar_the_higher_score_wins_never_the_earlier() -> None:
    exam = Exam({"early": 0.54, "late": 0.65}, seed=2)
    choice = finish(choose(list(exam.skills), exam.answer, bar=0.8))
    scores = {path.name: sum(right) for path, right in choice.answers.items()}
    assert scores["late"] > scores["early"]
    assert choice.chosen == Path("late")
    above = Exam({"early": 0.95, "late": 0.93}, seed=2)
    choice = finish(choose(list(above.skills), above.answer, bar=0.8))
    scores = {path.name: sum(right) for path, right in choice.answers.items()}
    assert 0 < scores["early"] - scores["late"] <= 0.02 * 88
    assert choice.chosen == Path("late")


def test_a_snapshot_races_at_its_better_strength_after_the_first_round() -> None:
    skills = {("a", 0.8): 0.2, ("a", 1.0): 0.9, ("b", 0.8): 0.3, ("b", 1.0): 0.4}
    arms = [Arm(Path(name), strength) for name, strength in skills]
    exam = Exam({})
    exam.skills = {arm: skills[arm.snapshot.name, arm.strength] for arm in arms}  # type: ignore[misc]

    def answer(arm: Arm, start: int, stop: int) -> Work[list[bool]]:
        exam.asked.append((f"{arm.snapshot} {arm.strength}", start, stop))
        return [exam._right(arm, i) for i in range(start, stop)]  # type: ignore[arg-type]
        yield

    choice = finish(choose(arms, answer, kind=lambda arm: arm.snapshot))
    assert choice.chosen == Arm(Path("a"), 1.0)
    assert choice.clear
    assert [name for name, start, _ in exam.asked if start == 20] == ["a 1.0", "b 1.0"]
    assert race_cost(2, (20, 44, 88), 2) == sum(stop - start for _, start, stop in exam.asked)


def test_neighbours_in_training_help_through_the_first_round() -> None:
    """One lucky snapshot among bad ones counts less than a good one among good ones."""
    right = {"a": 2, "lucky": 15, "b": 2, "c": 12, "good": 14, "d": 12, "e": 12}

    def answer(snapshot: Path, start: int, stop: int) -> Work[list[bool]]:
        return [i % 20 < right[snapshot.name] for i in range(start, stop)]
        yield

    def left(**lines: object) -> set[str]:
        choice = finish(choose([Path(name) for name in right], answer, **lines))  # type: ignore[arg-type]
        return {path.name for path, answers in choice.answers.items() if len(answers) > 20}

    assert left() == {"lucky", "good", "e", "d"}
    assert left(line=lambda _: None) == {"c", "good", "d", "e"}


def test_what_more_pictures_would_cost() -> None:
    ours = [True] * 80 + [False] * 20
    theirs = [True] * 75 + [False] * 25
    # q = d = 0.05: (1.96 sqrt(0.05) + 0.8416 sqrt(0.05 - 0.0025))^2 / 0.0025
    assert pictures_to_tell(ours, theirs) == 155
    assert pictures_to_tell(ours, ours) is None
    tied = Exam({"a": 0.9, "b": 0.9})
    assert finish(choose(list(tied.skills), tied.answer)).more is None
