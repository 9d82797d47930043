"""Values as typed: quotes, ranges that never overshoot, any text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorasmith.errors import UsageError
from lorasmith.generation.grids.values import (
    MOST_VALUES,
    expand_text_ranges,
    read_numbers,
    read_whole_numbers,
    split_values,
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a, b ,c", ["a", "b", "c"]),
        ('a,"b, c"', ["a", "b, c"]),
        ('a, "b, c"', ["a", "b, c"]),  # three values in the A1111 grid
        ("a, ,", ["a", "", ""]),
        ("a\nb", ["a", "b"]),
        ('"say ""hi"", now",x', ['say "hi", now', "x"]),
        ('a "quoted" word', ['a "quoted" word']),
        ("", []),
    ],
)
def test_commas_and_quotes(text: str, values: list[str]) -> None:
    assert split_values(text) == values


@pytest.mark.parametrize("text", ['a,"b', 'a,"b"c'])
def test_quotes_that_do_not_pair_up(text: str) -> None:
    with pytest.raises(UsageError, match="do not pair up"):
        split_values(text)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0.2..1.0/0.2", [0.2, 0.4, 0.6, 0.8, 1.0]),
        ("0.5-1.0 (+0.1)", [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),  # seven values in the A1111 grid
        ("0.0-1.0 (+0.3)", [0.0, 0.3, 0.6, 0.9]),
        ("0-1 [5]", [0, 0.25, 0.5, 0.75, 1]),
        ("1..0/0.5", [1, 0.5, 0]),
        ("-1..1", [-1, 0, 1]),
        ("-.5--1(-.5)", [-0.5, -1]),
        ("3 [1]", None),
        ("2..8 [1]", [2]),
        ("1e-1", [0.1]),
    ],
)
def test_ranges_of_numbers(text: str, numbers: list[float] | None) -> None:
    if numbers is None:
        with pytest.raises(UsageError, match="is not a number"):
            read_numbers("cfg", [text])
    else:
        assert read_numbers("cfg", [text]) == numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1-5", [1, 2, 3, 4, 5]),
        ("1-5 (+2)", [1, 3, 5]),
        ("1-10 [5]", [1, 3, 5, 7, 10]),
        ("10-5 (-3)", [10, 7]),
        ("5-1", [5, 4, 3, 2, 1]),  # nothing at all in the A1111 grid
        ("7", [7]),
    ],
)
def test_ranges_of_whole_numbers(text: str, numbers: list[int]) -> None:
    assert read_whole_numbers("seed", [text, "99"]) == [*numbers, 99]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1-5 (-1)", "never gets to its end"),
        ("1..5/0", "never gets to its end"),
        ("1..9/2 [3]", "both a step and a count"),
        ("1-5 [0]", "asks for no value"),
        (f"1-{MOST_VALUES + 1}", "more than 1,000 values"),
        ("1-5 [999999999]", "more than 1,000 values"),
        ("1..2/0.5", "not a whole number"),
        ("nan", "not a number"),
        ("1" * 50, "not a number"),
        ("", "not a number"),
    ],
)
def test_what_is_no_range(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_whole_numbers("seed", [text])


def test_texts_keep_what_may_be_words() -> None:
    assert expand_text_ranges("prompt", ["1-5", "0.2..0.6/0.2", "1-5 (+2)", "a..b"]) == [
        *("1-5", "0.2", "0.4", "0.6", "1", "3", "5", "a..b"),
    ]


TEXTS = st.text('0123456789.+-()[]/, "\nex', max_size=14)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.lists(TEXTS, min_size=5, max_size=5))
def test_any_text_gives_values_or_our_error(texts: list[str]) -> None:
    for text in texts:
        for read in (lambda values: read_numbers("cfg", values), lambda values: read_whole_numbers("seed", values)):
            try:
                assert len(read(split_values(text))) <= MOST_VALUES
            except UsageError:
                continue
