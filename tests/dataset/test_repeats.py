"""Repeats solved from roles, against brute force."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import pytest

from lorasmith.dataset import repeats as room
from lorasmith.dataset.reading import Item
from lorasmith.dataset.repeats import TOLERANCE, solve_repeats, view_steps
from lorasmith.errors import UsageError
from lorasmith.images.opening import ImageFacts

MOST = 24


def make_items(primaries: int, others: int) -> list[Item]:
    return [
        Item(
            Path(f"{number}.png"),
            f"{number}.png",
            ImageFacts(Path(f"{number}.png"), 64, 64, "png", f"{number:064x}"),
            None,
            "",
            1,
            role="primary" if number < primaries else None,
        )
        for number in range(primaries + others)
    ]


def brute_force(
    primaries: int, others: int, influence: float, target: int | None, batch: int
) -> tuple[int, int] | None:
    """The rule said plainly: look at all pairs; None when none reaches the influence."""
    steps = view_steps(primaries, others, batch=batch)
    scored = []
    for first, second in itertools.product(range(1, MOST + 1), repeat=2):
        reached = primaries * first / (others * second)
        if not (1 - TOLERANCE) * influence <= reached <= (1 + TOLERANCE) * influence:
            continue
        views, off = primaries * first + others * second, abs(math.log(reached / influence))
        missed = 0 if target is None else abs(steps(first, second) - target)
        rank = (views, off, 0.0) if target is None else (missed, off, views)
        scored.append((tuple(round(number, 9) for number in rank), (first, second)))
    return min(scored)[1] if scored else None


def test_the_domains_example() -> None:
    solution = solve_repeats(make_items(58, 164))
    assert (solution.primary, solution.supporting) == (5, 1)
    assert solution.influence == pytest.approx(290 / 164)
    assert [(share.name, share.views) for share in solution.shares] == [("primary", 290), ("supporting", 164)]
    assert sum(share.share for share in solution.shares) == pytest.approx(1)


def test_brute_force_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_REPEATS", MOST)
    draw = random.Random(5)
    reached = 0
    for _ in range(120):
        primaries, others = draw.randint(1, 40), draw.randint(1, 40)
        influence, batch = draw.choice((0.5, 1.0, 2.0, 3.0)), draw.choice((1, 2, 3))
        target = draw.choice((None, draw.randint(1, 400)))
        expected = brute_force(primaries, others, influence, target, batch)
        steps = view_steps(primaries, others, batch=batch)
        solution = solve_repeats(make_items(primaries, others), influence=influence, target=target, steps=steps)
        if expected is None:
            continue
        reached += 1
        found, wanted = (solution.primary, solution.supporting), expected
        if found != wanted:  # equals in every respect but the numbers' last digits
            assert steps(*found) == steps(*wanted)
            assert primaries * found[0] + others * found[1] == primaries * wanted[0] + others * wanted[1]
    assert reached > 60


@pytest.mark.parametrize(("primaries", "others"), [(7, 0), (0, 7)])
def test_one_group_only_meets_the_target(primaries: int, others: int) -> None:
    for target in (1, 10, 99, 333):
        steps = view_steps(primaries, others, batch=2)
        solution = solve_repeats(make_items(primaries, others), target=target, steps=steps)
        expected = min(range(1, 200), key=lambda count: (abs(steps(count, count) - target), -count))
        assert solution.primary == solution.supporting == expected
        assert solution.influence is None
        assert [share.name for share in solution.shares] == ["all"]
    assert solve_repeats(make_items(primaries, others)).primary == 1


def test_an_influence_out_of_reach_comes_as_near_as_it_can() -> None:
    solution = solve_repeats(make_items(1, 2000), influence=2)
    assert (solution.primary, solution.supporting) == (999, 1)
    assert solution.influence is not None
    assert solution.influence < 1


def test_the_target_is_met_within_the_tolerance() -> None:
    steps = view_steps(58, 164, batch=3)
    solution = solve_repeats(make_items(58, 164), target=1120, steps=steps)
    assert solution.steps is not None
    assert abs(solution.steps - 1120) < 15
    assert solution.influence is not None
    assert abs(solution.influence / 2 - 1) <= TOLERANCE


@pytest.mark.parametrize(("influence", "target"), [(0.0, None), (1000.0, None), (2.0, 0), (2.0, 5)])
def test_values_out_of_range_are_refused(influence: float, target: int | None) -> None:
    with pytest.raises(UsageError):
        solve_repeats(make_items(2, 2), influence=influence, target=target)
