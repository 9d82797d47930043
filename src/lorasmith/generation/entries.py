"""The last line of an infotext, ``Steps: 20, Sampler: Euler a, ...``: taken apart as it is written."""

from __future__ import annotations

import json
import re

#: A last line with fewer entries than this, or with none of the known ones, is part of the prompt.
LEAST_ENTRIES = 3
KNOWN = frozenset({"Steps", "Sampler", "Seed", "Size", "CFG scale", "Model", "Model hash", "Version"})
_KEY = re.compile(r"\s*(\w[\w \-/]+):\s*")
_QUOTED = re.compile(r'"(?:\\.|[^\\"])*"(?=\s*(?:,|$))')
_CLOSING = {"[": "]", "{": "}"}


def read_entries(line: str) -> dict[str, str]:
    """The entries by key, each value as it is written (`unquote` reads it); none where the line is a prompt's.

    A value is a JSON text in quotes, a list or an object in brackets (which extensions write as they are), or all up to
    the next comma. Linear in the line's length.
    """
    found: dict[str, str] = {}
    position, closing = 0, True
    while position < len(line):
        key = _KEY.match(line, position)
        if key is None:
            if not found:
                return {}
            position = _comma(line, position) + 1
            continue
        start = key.end()
        quoted = _QUOTED.match(line, start)
        behind = start if quoted is None else quoted.end()
        if closing and line[start : start + 1] in _CLOSING:
            behind = _bracket_end(line, start)
            closing = behind > start  # else a bracket is open to the end, and all later ones are in it
        end = _comma(line, behind)
        found[key[1]] = line[start:end].strip()
        position = end + 1
    return found if len(found) >= LEAST_ENTRIES and not KNOWN.isdisjoint(found) else {}


def unquote(value: str) -> str:
    """What a value says: a text in quotes without them."""
    if len(value) < 2 or not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def _comma(line: str, start: int) -> int:
    found = line.find(",", start)
    return len(line) if found < 0 else found


def _bracket_end(line: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`, texts in quotes passed over; `start` where none does."""
    expected: list[str] = []
    quote = ""
    position = start
    while position < len(line):
        letter = line[position]
        if quote:
            if letter == "\\":
                position += 1
            elif letter == quote:
                quote = ""
        elif letter in "\"'":
            quote = letter
        elif letter in _CLOSING:
            expected.append(_CLOSING[letter])
        elif expected and letter == expected[-1]:
            expected.pop()
            if not expected:
                return position + 1
        position += 1
    return start
