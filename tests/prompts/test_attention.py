"""Emphasis: the vectors of the A1111 web UI, a slow reference beside the fast one, and the two quirks."""

from __future__ import annotations

import random
import re

import pytest

from lorasmith.errors import PromptError
from lorasmith.prompts import parse_attention
from lorasmith.prompts.compatibility import Compat


def pairs(text: str, compat: Compat = None) -> list[tuple[str, float]]:
    return [(span.text, span.weight) for span in parse_attention(text, compat)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("normal text", [("normal text", 1.0)]),
        ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        (r"\(literal\]", [("(literal]", 1.0)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                *(("a ", 1.0), ("house", 1.5730000000000004), (" ", 1.1), ("on", 1.0), (" a ", 1.1)),
                *(("hill", 0.55), (", sun, ", 1.1), ("sky", 1.4641000000000006), (".", 1.1)),
            ],
        ),
        ("( a : 1.1)", [(" a ", 1.1)]),
        ("(a:-1.5)", [("a", -1.5)]),
        ("(a:1,5)", [("a:1,5", 1.1)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("[x:1.5]", [("x:1.5", 1 / 1.1)]),
        ("stray ) ] :1.5) end", [("stray ) ] :1.5) end", 1.0)]),
        (r"a\b", [("ab", 1.0)]),
        (r"a\\b", [("a\\b", 1.0)]),
        ("", [("", 1.0)]),
        ("()", [("", 1.0)]),
        ("a BREAK b", [("a", 1.0), ("BREAK", -1.0), ("b", 1.0)]),
        ("BREAK BREAK", [("", 1.0), ("BREAK", -1.0), ("", 1.0), ("BREAK", -1.0), ("", 1.0)]),
        ("BREAKFAST break", [("BREAKFAST break", 1.0)]),
    ],
)
def test_vectors(text: str, expected: list[tuple[str, float]]) -> None:
    assert pairs(text) == expected


def test_break_inside_parentheses_is_a_break_and_in_a1111_a_word() -> None:
    assert pairs("(a BREAK b:1.2)") == [("a", 1.2), ("BREAK", -1.0), ("b", 1.2)]
    assert parse_attention("(a BREAK b:1.2)")[1].is_break
    assert pairs("(a BREAK b:1.2)", "a1111") == [("a", 1.2), ("BREAK", -1.2), ("b", 1.2)]
    assert not parse_attention("(a BREAK b:1.2)", "a1111")[1].is_break


def test_a_malformed_weight_is_text_and_in_a1111_an_error() -> None:
    with pytest.raises(PromptError, match=r"1\.2\.3"):
        parse_attention("(a:1.2.3)", "a1111")


def reference(text: str) -> list[tuple[str, float]]:
    """Slow and obvious: each closing bracket multiplies everything since its opening. No BREAK, no weights."""
    items: list[list[object]] = []
    rounds: list[int] = []
    squares: list[int] = []

    def multiply(start: int, factor: float) -> None:
        for item in items[start:]:
            item[1] *= factor  # type: ignore[operator]

    for token in re.findall(r"\\.|[()\[\]]|[^\\()\[\]]+", text):
        if token in ("(", "["):
            (rounds if token == "(" else squares).append(len(items))
        elif token == ")" and rounds:
            multiply(rounds.pop(), 1.1)
        elif token == "]" and squares:
            multiply(squares.pop(), 1 / 1.1)
        else:
            items.append([token[-1] if token[0] == "\\" else token, 1.0])
    for start in rounds:
        multiply(start, 1.1)
    for start in squares:
        multiply(start, 1 / 1.1)
    merged: list[tuple[str, float]] = []
    for word, weight in items:
        if merged and merged[-1][1] == weight:
            merged[-1] = (merged[-1][0] + str(word), merged[-1][1])
        else:
            merged.append((str(word), weight))  # type: ignore[arg-type]
    return merged or [("", 1.0)]


def test_overlapping_and_unclosed_brackets_equal_the_reference_to_the_bit() -> None:
    draw = random.Random(5)
    seen = set()
    for _ in range(2000):
        text = "".join(draw.choices(["(", ")", "[", "]", "a", " b", r"\(", r"\]"], k=draw.randint(1, 14)))
        assert pairs(text) == reference(text), text
        seen.add(text)
    assert len(seen) > 1000


def test_deep_nests_are_close_to_the_reference() -> None:
    text = "(" * 40 + "a" + ")" * 20 + "b"
    found, expected = pairs(text), reference(text)
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in expected])
