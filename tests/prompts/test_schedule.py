"""Prompt editing and alternation: the vectors of the A1111 web UI, and hostile text."""

from __future__ import annotations

import pytest

from lorasmith.errors import PromptError
from lorasmith.prompts import parse_schedule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("test", [(10, "test")]),
        ("a [b:3]", [(3, "a "), (10, "a b")]),
        ("a [b: 3 ]", [(3, "a "), (10, "a b")]),
        ("a [[[b]]:2]", [(2, "a "), (10, "a [[b]]")]),
        ("[(a:2):3]", [(3, ""), (10, "(a:2)")]),
        ("a [b : c : 1] d", [(1, "a b  d"), (10, "a  c  d")]),
        ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
        ("a [b:.5] c", [(5, "a  c"), (10, "a b c")]),
        ("a [b::2] c", [(2, "a b c"), (10, "a  c")]),
        ("((a][:b:c [d:3]", [(3, "((a][:b:c "), (10, "((a][:b:c d")]),
        ("a [{b|d{:.5] c", [(10, "a [{b|d{:.5] c")]),
        ("[a:b:c:3]", [(10, "[a:b:c:3]")]),
        ("[a:b:c:[d:3]]", [(3, "[a:b:c:]"), (10, "[a:b:c:d]")]),
        ("[cat]", [(10, "[cat]")]),
        ("[a:b:0] [a:b:-1] [a:b:0.0]", [(10, "b b b")]),
        ("[a:b:1.0]", [(10, "a")]),
        ("[a:b:2.5]", [(10, "a")]),
        ("[a:b:1e1]", [(10, "a")]),
        ("[a:b:1e999]", [(10, "a")]),
        ("[a:b:x]", [(10, "[a:b:x]")]),
        (r"[a\:b:c:3]", [(3, r"a\:b"), (10, "c")]),
        ("[a:b:3", [(10, "[a:b:3")]),
        ("a | [b:3]", [(10, "a | [b:3]")]),
        ("[a|b:0.5] [b:3]", [(10, "[a|b:0.5] [b:3]")]),
        ("[b:3] \\", [(10, "[b:3] \\")]),
        ("([b:3])", [(3, "()"), (10, "(b)")]),
        ("", [(10, "")]),
    ],
)
def test_ten_steps(text: str, expected: list[tuple[int, str]]) -> None:
    assert parse_schedule(text, 10) == expected


def test_alternation_goes_round_every_step() -> None:
    assert parse_schedule("[fe|]male", 3) == [(1, "female"), (2, "male"), (3, "female")]
    assert [text for _, text in parse_schedule("[fe|||]male", 6)] == [
        *("female", "male", "male", "male"),
        *("female", "male"),
    ]


def test_alternation_and_switch_nest() -> None:
    assert parse_schedule("[[a:b:2]|c]", 5) == [(1, "a"), (2, "c"), (3, "b"), (4, "c"), (5, "b")]


def test_hidden_switches_still_end_an_entry() -> None:
    assert parse_schedule("[[a:b:2]:c:1]", 10) == [(1, "a"), (2, "c"), (10, "c")]


def test_a_longer_prompt_over_a_hundred_steps() -> None:
    schedule = parse_schedule("a [mountain:lake:0.25] [forest::75] [with [clouds:rain:60]:.5]", 100)
    assert [end for end, _ in schedule] == [25, 50, 60, 75, 100]
    assert schedule[0][1] == "a mountain forest "
    assert schedule[-1][1] == "a lake  with rain"


def test_the_second_pass() -> None:
    assert parse_schedule("a [b:1.5] c", 10, 10) == [(5, "a  c"), (10, "a b c")]
    assert parse_schedule("a [b:.5] c", 10, 10) == [(10, "a b c")]
    assert parse_schedule("a [b:14] c", 10, 20) == [(4, "a  c"), (20, "a b c")]


def test_no_steps_is_an_error() -> None:
    with pytest.raises(PromptError, match="at least one step"):
        parse_schedule("a", 0)
