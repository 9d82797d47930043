"""Durations: read with their unit, due when a multiple is reached."""

from __future__ import annotations

import itertools

import pytest

from lorasmith.recipe.durations import Duration, Moment, read_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30 epochs", Duration(30, "epochs")),
        ("1 epoch", Duration(1, "epochs")),
        ("1120steps", Duration(1120, "steps")),
        (" 2.5 Minutes ", Duration(2.5, "minutes")),
    ],
)
def test_read(text: str, duration: Duration) -> None:
    assert read_duration(text) == duration
    assert read_duration(str(duration)) == duration


@pytest.mark.parametrize("value", [3, "3", "steps", "0 steps", "1.5 epochs", "-2 steps", "3 days", "", True])
def test_refuse(value: object) -> None:
    with pytest.raises(ValueError, match=r"unit|whole|more than 0"):
        read_duration(value)


def test_due_at_each_multiple() -> None:
    every = Duration(3, "steps")
    moments = [Moment(step, step // 5, step * 10.0) for step in range(13)]
    due = [now.step for before, now in itertools.pairwise(moments) if every.is_due(before, now)]
    assert due == [3, 6, 9, 12]
    by_epoch = [now.step for before, now in itertools.pairwise(moments) if Duration(1, "epochs").is_due(before, now)]
    assert by_epoch == [5, 10]
    by_clock = [now.step for before, now in itertools.pairwise(moments) if Duration(0.5, "minutes").is_due(before, now)]
    assert by_clock == [3, 6, 9, 12]
