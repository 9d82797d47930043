"""Captions at a visit."""

from __future__ import annotations

from lorasmith.training.inputs.captions import vary_caption

CAPTION = "zbk, a, b, c, d, e, f"
SEPARATED = "zbk, a ||| b, c, d, e ||| last"


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


def test_a_separator_keeps_what_stands_before_and_behind() -> None:
    varied = [
        vary_caption(SEPARATED, 1, visit, shuffle=True, keep_tokens=1, keep_separator="|||") for visit in range(20)
    ]
    assert all(text.startswith("zbk, a, ") and text.endswith(", last") for text in varied)
    assert {frozenset(text.split(", ")[2:-1]) for text in varied} == {frozenset("bcde")}
    assert len(set(varied)) > 10


def test_a_separator_never_stays_in_the_caption() -> None:
    assert vary_caption(SEPARATED, 1, keep_separator="|||") == "zbk, a, b, c, d, e, last"
    assert vary_caption(CAPTION, 1, shuffle=False, keep_separator="|||") == CAPTION


def test_tag_dropout_spares_the_kept() -> None:
    varied = [vary_caption(CAPTION, 1, visit, keep_tokens=2, tag_dropout=0.3) for visit in range(1000)]
    assert all(text.startswith("zbk, a") for text in varied)
    left = sum(len(text.split(", ")) - 2 for text in varied)
    assert 3300 < left < 3700
    assert vary_caption(SEPARATED, 1, keep_separator="|||", tag_dropout=1.0) == "zbk, a, last"
