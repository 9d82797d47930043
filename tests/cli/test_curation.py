"""How decisions and made pictures are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.cli.curation import draw_log, name_some, show_made, tell_decision
from lorasmith.cli.rendering import count_images
from lorasmith.dataset.decisions import Decision
from lorasmith.dataset.derive import Derived


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        (Decision("a", "crop", (1, 2, 11, 22), name="x"), "crop to 1,2,10,20 x"),
        (Decision("a", "crop", name="x"), "whole x"),
        (Decision("a", "repeats", 3, name="x"), "repeats 3 x"),
        (Decision("a", "repeats", name="x"), "repeats of its folder x"),
        (Decision("a", "role", "primary", name="x"), "primary x"),
        (Decision("a", "role", name="x"), "no role x"),
        (Decision("a", "label", "rain", name="x"), 'label "rain" x'),
        (Decision("a", "reject", name="x"), "reject x"),
    ],
)
def test_decisions_in_words(decision: Decision, told: str) -> None:
    assert tell_decision(decision) == told


def test_many_names_are_cut() -> None:
    assert name_some(["a", "b"]) == "a, b"
    assert name_some([str(number) for number in range(9)]) == "0, 1, 2, 3, 4, 5 and 3 more"
    assert (count_images(1), count_images(0)) == ("1 image", "0 images")


def test_long_steps_are_cut_and_markup_means_itself(capsys: pytest.CaptureFixture[str]) -> None:
    step = [Decision("a", "reject", reason="[b]", at="2026-01-02T03:04:05+00:00", name=f"{n}.png") for n in range(20)]
    draw_log([step])
    said = capsys.readouterr().out
    assert "11.png" in said
    assert "12.png" not in said
    assert "and 8 more" in said
    assert "[b]" in said
    assert "2026-01-02 03:04" in said


def test_what_was_made_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [Derived(tmp_path / f"{n}.png", str(n), "crop", ("a.png",), existed=n > 0) for n in range(15)]
    show_made(made, Path("p"), as_json=False)
    said = capsys.readouterr().out
    assert "1 new in" in said
    assert "(was there)" in said
    assert "and 3 more" in said
    assert "lorasmith tag p" in said, "they have no captions"
    assert "lorasmith curate undo p" in said
    show_made([], Path("p"), as_json=False)
    assert "Nothing was made" in capsys.readouterr().out
