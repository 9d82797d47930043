"""Steps arithmetic against kohya's, written out slowly."""

from __future__ import annotations

import math
import random

import pytest

from lorasmith.recipe.steps import Length, solve_length, steps_per_epoch


def slow_steps(rows: list[int], batch_size: int, accumulate: int) -> int:
    """Fill batches one image after the other, then steps one batch after the other; an epoch's end ends a step."""
    batches = 0
    for count in rows:
        filled = 0
        for _ in range(count):
            if filled == 0:
                batches += 1
            filled = (filled + 1) % batch_size
    return sum(1 for batch in range(batches) if batch % accumulate == 0)


def test_steps_of_an_epoch() -> None:
    chance = random.Random(5)
    for _ in range(300):
        rows = [chance.randint(1, 20) for _ in range(chance.randint(1, 6))]
        batch_size, accumulate = chance.randint(1, 6), chance.randint(1, 4)
        assert steps_per_epoch(rows, batch_size, accumulate) == slow_steps(rows, batch_size, accumulate)


def solve(rows: int, epochs: int | None, target: int | None, batch_size: int = 3) -> Length:
    return solve_length({(64, 64): rows}, batch_size=batch_size, accumulate=1, epochs=epochs, target_steps=target)


def test_epochs_alone() -> None:
    assert solve(10, 7, None) == Length(factor=1, steps_per_epoch=4, epochs=7, steps=28)


def test_target_alone_is_met_exactly() -> None:
    assert solve(10, None, 30) == Length(factor=1, steps_per_epoch=4, epochs=8, steps=30)


def test_the_character_preset_s_example() -> None:
    """42 images in one epoch of 1120 steps at batch 3: 80 repeats (formats.md 2)."""
    assert solve(42, 1, 1120) == Length(factor=80, steps_per_epoch=1120, epochs=1, steps=1120)


@pytest.mark.parametrize("rows", [1, 3, 7, 29, 250])
@pytest.mark.parametrize("epochs", [1, 3, 10])
def test_repeats_come_closest(rows: int, epochs: int) -> None:
    target = 1105
    found = solve(rows, epochs, target)
    if found.factor == 1:
        return
    distances = {factor: abs(epochs * math.ceil(factor * rows / 3) - target) for factor in range(1, 4000)}
    assert abs(found.steps - target) == min(distances.values())


def test_a_target_below_one_repeat_ends_the_run_early() -> None:
    assert solve(300, 10, 20) == Length(factor=1, steps_per_epoch=100, epochs=1, steps=20)
