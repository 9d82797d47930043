"""Tokens counted from a vocabulary alone."""

from __future__ import annotations

import pytest

from lorasmith.tags.tokens import count_tokens, is_token

TOKENS = {name: n for n, name in enumerate(["l", "o", "w", "e", "r</w>", "w</w>", "lo", "low", "er</w>", "low</w>"])}


@pytest.mark.parametrize(
    ("text", "count"),
    [("low", 1), ("Lower", 2), ("lo", 2), ("low low", 2), ("xyz", 3), ("low1", 2), ("", 0), ("ö", 2)],
)
def test_counting(text: str, count: int) -> None:
    assert count_tokens(text, TOKENS) == count


def test_whole_words() -> None:
    assert is_token("LOW", TOKENS)
    assert not is_token("lower", TOKENS)
    assert not is_token("low low", TOKENS)
    assert not is_token("w", TOKENS), "a single letter is no word"


def test_the_order_of_merging_is_the_vocabularys() -> None:
    tokens = {name: n for n, name in enumerate(["a", "b", "c</w>", "bc</w>", "ab"])}
    assert count_tokens("abc", tokens) == 2
    assert count_tokens("abc", tokens | {"abc</w>": 9}) == 1
