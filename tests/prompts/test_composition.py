"""AND and its weights."""

from __future__ import annotations

import pytest

from lorasmith.prompts import split_subprompts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat", [("a cat", 1.0)]),
        ("a cat AND a dog", [("a cat", 1.0), (" a dog", 1.0)]),
        ("a cat :1.2 AND a dog:-.5 ", [("a cat", 1.2), (" a dog", -0.5)]),
        ("a:b:2. AND (c:1.1)", [("a:b", 2.0), (" (c:1.1)", 1.0)]),
        ("SAND AND and", [("SAND", 1.0), (" and", 1.0)]),
        ("a :1e1 AND b", [("a :1e1", 1.0), (" b", 1.0)]),
        ("", [("", 1.0)]),
    ],
)
def test_parts_and_weights(text: str, expected: list[tuple[str, float]]) -> None:
    assert split_subprompts(text) == expected


def test_without_and_a_trailing_number_is_text_and_in_a1111_a_weight() -> None:
    assert split_subprompts("a cat, :3") == [("a cat, :3", 1.0)]
    assert split_subprompts("a cat, :3", "a1111") == [("a cat,", 3.0)]
