"""Captions at a visit."""

from __future__ import annotations

import pytest

from lorasmith.training.captions import vary_caption, without_trigger

CAPTION = "zbk, a, b, c, d, e, f"


def test_kept_tags_stay_and_the_rest_is_shuffled() -> None:
    varied = [vary_caption(CAPTION, 1, 0, "x.png", visit, shuffle=True, keep_tokens=2) for visit in range(20)]
    assert all(text.startswith("zbk, a, ") for text in varied)
    assert all(sorted(text.split(", ")) == sorted(CAPTION.split(", ")) for text in varied)
    assert len(set(varied)) > 10
    assert vary_caption(CAPTION, 1, 0, "x.png", 3, shuffle=True, keep_tokens=2) == varied[3]


def test_without_shuffling_nothing_changes() -> None:
    assert vary_caption("A  sentence , with commas.", 1, keep_tokens=1) == "A  sentence , with commas."


def test_dropout_empties_its_share() -> None:
    empty = sum(not vary_caption(CAPTION, 1, visit, dropout=0.25) for visit in range(2000))
    assert 430 < empty < 570
    assert vary_caption(CAPTION, 1, dropout=1.0) == ""


@pytest.mark.parametrize(
    ("caption", "trigger", "rest"),
    [
        ("zbk, red hair, smile", "zbk", "red hair, smile"),
        ("ZBK, zbk_two, smile", "zbk", "zbk_two, smile"),
        ("photo of zbk, smile", "zbk", "photo of, smile"),
        ("a drawing of Zbk with red hair", "zbk", "a drawing of with red hair"),
        ("zbk, anime screencap, smile", "zbk, anime screencap", "smile"),
        ("zbkx, smile", "zbk", "zbkx, smile"),
        ("zbk", "zbk", ""),
        ("a, b", "", "a, b"),
    ],
)
def test_without_trigger(caption: str, trigger: str, rest: str) -> None:
    assert without_trigger(caption, trigger) == rest
