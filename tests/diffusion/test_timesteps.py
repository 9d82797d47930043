"""Timesteps stay in their range and follow their distribution."""

from __future__ import annotations

import statistics

from lorasmith.diffusion.noise import key_generator
from lorasmith.diffusion.timesteps import TimestepRange


def draws(span: TimestepRange, count: int = 2000) -> list[int]:
    return [span.draw(key_generator(number)) for number in range(count)]


def test_uniform_covers_its_range() -> None:
    drawn = draws(TimestepRange())
    assert 0 <= min(drawn) < 20
    assert 980 < max(drawn) < 1000
    assert abs(statistics.mean(drawn) - 499.5) < 25


def test_bounds_are_kohya_s() -> None:
    assert set(draws(TimestepRange(10, 13), 200)) == {10, 11, 12}
    assert set(draws(TimestepRange(10, 13, "logit_normal"), 200)) == {10, 11, 12}


def test_logit_normal_prefers_the_middle_and_its_mean_moves_it() -> None:
    middle = draws(TimestepRange(sampling="logit_normal"))
    # The quartiles of sigmoid(n): sigmoid(-0.6745) and sigmoid(0.6745).
    low, median, high = statistics.quantiles(middle, n=4)
    assert abs(low - 337) < 20
    assert abs(median - 500) < 20
    assert abs(high - 663) < 20
    noisy = draws(TimestepRange(sampling="logit_normal", mean=1.0))
    assert abs(statistics.median(noisy) - 731) < 20
