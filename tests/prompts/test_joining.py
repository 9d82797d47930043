"""Neighbouring texts become one; everything else keeps its place."""

from __future__ import annotations

from lorasmith.prompts.joining import join_texts


def test_neighbouring_texts_are_one() -> None:
    assert join_texts(["a", "b", 1, 2, "c", "", "d"]) == ["ab", 1, 2, "cd"]
    assert join_texts([1, "a"]) == [1, "a"]
    assert join_texts([]) == []
    assert join_texts(["", ""]) == [""]
