"""Figures against numbers known from elsewhere."""

from __future__ import annotations

import random

import pytest

from lorasmith.exam.figures import entropy_ratio, excess, paired_difference, paired_ratio, share, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3; the last row mirrors 0 of 29.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_agrees_with_the_published_table(successes: int, n: int, low: float, high: float) -> None:
    figure = wilson(successes, n)
    assert figure.value == successes / n
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=5e-5)


def test_no_pictures_no_knowledge() -> None:
    assert share([]).as_json() == {"value": 0.0, "low": 0.0, "high": 1.0, "n": 0}


@pytest.mark.parametrize(
    ("a", "m", "b", "n", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17:873), table II, method 10.
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
    ],
)
def test_excess_agrees_with_the_published_table(a: int, m: int, b: int, n: int, low: float, high: float) -> None:
    figure = excess([i < a for i in range(m)], [i < b for i in range(n)])
    assert figure.value == pytest.approx(a / m - b / n)
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=5e-5)


def test_excess_below_chance_is_none() -> None:
    figure = excess([False] * 50, [True] * 5 + [False] * 45)
    assert figure.value == 0
    assert figure.low == 0


def test_a_ratio_of_the_same_answers_is_one_exactly() -> None:
    answers = [i % 3 == 0 for i in range(90)]
    assert paired_ratio(answers, answers).as_json() == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 90}


def test_a_ratios_interval_covers_the_truth() -> None:
    dice = random.Random(5)
    covered = 0
    for trial in range(200):
        able = [dice.random() < 0.8 for _ in range(120)]
        done = [can and dice.random() < 0.75 for can in able]
        figure = paired_ratio(done, able, seed=trial)
        covered += figure.low <= 0.75 <= figure.high
    assert 180 <= covered <= 200


def test_a_ratio_to_nothing_was_not_measured() -> None:
    assert paired_ratio([True, False], [False, False]).n == 0
    with pytest.raises(ValueError, match="2 successes for 1 ceilings"):
        paired_ratio([True, False], [True])


def test_paired_difference_is_the_normal_interval_of_differences() -> None:
    # 10 pairs: +1 four times, -1 once, 0 five times: mean 0.3, variance (4 + 1 - 10 * 0.09) / 9.
    ours = [True] * 4 + [False] + [True] * 5
    theirs = [False] * 4 + [True] + [True] * 5
    mean, low, high = paired_difference(ours, theirs)
    half = 1.959964 * (4.1 / 9 / 10) ** 0.5
    assert (mean, low, high) == pytest.approx((0.3, 0.3 - half, 0.3 + half), abs=1e-6)
    assert paired_difference(theirs, theirs) == (0.0, 0.0, 0.0)


def test_diversity_of_less_variety_is_less() -> None:
    full = [(a, b) for a in "abcd" for b in "xy"] * 10
    half = [(a, "x") for a in "abab"] * 20
    figure = entropy_ratio(half, full)
    # Entropies: log 2 + 0 against log 4 + log 2.
    assert figure.value == pytest.approx(1 / 3)
    assert figure.low <= 1 / 3 <= figure.high
    assert entropy_ratio(full, [("a", "x")] * 8).n == 0
