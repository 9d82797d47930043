"""Captions at a visit."""

from __future__ import annotations

from lorasmith.training.captions import vary_caption

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
