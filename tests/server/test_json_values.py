"""Values of JSON texts, whole and in pieces."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorasmith.server.json_values import ValueCounter
from lorasmith.server.settings import Limits

VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a",[]{}\\ /\n') | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='a",[{\\'), inner),
)


def signs(value: Any) -> int:
    """What the counter counts: opening brackets, texts, and commas between values."""
    if isinstance(value, dict):
        return 1 + max(0, len(value) - 1) + len(value) + sum(map(signs, value.values()))
    if isinstance(value, list):
        return 1 + max(0, len(value) - 1) + sum(map(signs, value))
    return int(isinstance(value, str))


@given(VALUES, st.integers(1, 7), st.booleans())
def test_whole_and_in_pieces(value: Any, length: int, plain: bool) -> None:
    text = json.dumps(value, ensure_ascii=plain).encode()
    counter = ValueCounter()
    for at in range(0, len(text), length):
        counter.feed(text[at : at + length])
    assert counter.values == signs(value)
    assert ValueCounter().feed(text) == counter.values


@pytest.mark.parametrize("piece", [b'"\\"' * 22_000, b'{"a":' * 13_000, b"\\" * 65_000, b'"' * 65_000, b"a" * 65_000])
def test_it_is_quick_until_it_has_counted_enough(piece: bytes) -> None:
    counter = ValueCounter()
    started = time.monotonic()
    for _ in range(1000):
        if counter.feed(piece) > Limits().body_values:
            break
    assert time.monotonic() - started < 5
