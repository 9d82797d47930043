"""The values of an axis as people type them: commas, quotes, and ranges that never overshoot.

Ranges, for numbers: ``0.2..1.0/0.2`` and, as in the A1111 grid, ``1-5``, ``1-5 (+2)``, ``10-5 (-3)``, ``1-10 [5]``.
"""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from fractions import Fraction

from lorasmith.errors import UsageError

MOST_VALUES = 1_000

_UNSIGNED = r"(?:\d+(?:\.\d*)?|\.\d+)"
_NUMBER = rf"[+-]?{_UNSIGNED}"
_DOTTED = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})(?:\s*/\s*({_NUMBER}))?(?:\s*\[\s*(\d{{1,9}})\s*\])?")
_DASHED = re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})(?:\s*\(\s*([+-]{_UNSIGNED})\s*\))?(?:\s*\[\s*(\d{{1,9}})\s*\])?")
_LONGEST = 40  # letters of one number; longer ones are no numbers anybody means


def split_values(text: str) -> list[str]:
    """The values of a comma-separated line, stripped; quotes keep commas, wherever blanks stand; ``""`` is a quote.

    A line's end separates too. Empty values stay, so that a prompt axis can say "nothing". Raises UsageError for a
    quote that is not closed.
    """
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True))
    except csv.Error:
        hint = 'Quote a whole value, as in: cat,"dog, big",horse. A quote inside one is written twice.'
        raise UsageError(f"the quotes in {text!r} do not pair up.", hint=hint) from None
    return [value.strip() for row in rows for value in (row or [""])]


def read_numbers(word: str, values: list[str]) -> list[float]:
    """Numbers and ranges of numbers, in the order given. `word` names the axis in errors (UsageError)."""
    found: list[float] = []
    for value in _said(word, values):
        numbers = _read_range(word, value, whole=False)
        found += [float(number) for number in numbers] if numbers is not None else [float(_read_decimal(word, value))]
        _count(word, len(found))
    return found


def read_whole_numbers(word: str, values: list[str]) -> list[int]:
    """Whole numbers and ranges of them, in the order given. Raises UsageError."""
    found: list[int] = []
    for value in _said(word, values):
        numbers = _read_range(word, value, whole=True) or [Fraction(_read_decimal(word, value))]
        for number in numbers:
            if number.denominator != 1:
                raise UsageError(f'{word} "{value}" is not a whole number.')
            found.append(int(number))
        _count(word, len(found))
    return found


def _said(word: str, values: list[str]) -> list[str]:
    """Without those that say nothing, as the A1111 grid passes over them (`scripts/xyz_grid.py`, `process_axis`): a
    comma too many is no number."""
    said = [value for value in values if value]
    if not said:
        raise UsageError(f'{word} "" is not a number: none is given.', hint=f"For example: {word}=1,2,3.")
    return said


def expand_text_ranges(word: str, values: list[str]) -> list[str]:
    """Texts, with those that are a range written out: ``0.2..0.6/0.2`` is 0.2, 0.4, 0.6 with as many digits.

    A bare ``1-5`` may be words, so it stays; with a step or a count it is a range.
    """
    found: list[str] = []
    for value in values:
        numbers = _read_range(word, value, whole=False, bare=False)
        found += [value] if numbers is None else [_spell(number) for number in numbers]
        _count(word, len(found))
    return found


def _read_range(word: str, text: str, whole: bool, bare: bool = True) -> list[Fraction] | None:
    """The numbers of a range, or None where `text` is none. Exact, so that no rounding adds or loses one."""
    match = _DOTTED.fullmatch(text) or _DASHED.fullmatch(text)
    if match is None or max(map(len, filter(None, match.groups()))) > _LONGEST:
        return None
    if not bare and match.re is _DASHED and not (match[3] or match[4]):
        return None
    first, last = Fraction(match[1]), Fraction(match[2])
    if match[3] and match[4]:
        raise UsageError(f'{word} "{text}" has both a step and a count.', hint="Give one of them.")
    if match[4]:
        count = int(match[4])
        _count(word, count)
        if count < 1:
            raise UsageError(f'{word} "{text}" asks for no value.')
        spaced = [first + (last - first) * k / max(1, count - 1) for k in range(count)]
        return [Fraction(int(number)) for number in spaced] if whole else spaced
    step = Fraction(match[3]) if match[3] else Fraction(1)
    # A step without a sign counts towards the end; one with a sign must lead there.
    if last < first and (not match[3] or match.re is _DOTTED) and step > 0:
        step = -step
    if step == 0 or (last - first) * step < 0:
        raise UsageError(f'{word} "{text}" never gets to its end.', hint="For example: 0.2..1.0/0.2, or 1-5 (+2).")
    steps = (last - first) / step
    _count(word, int(steps) + 1)
    return [first + k * step for k in range(int(steps) + 1)]


def _read_decimal(word: str, text: str) -> Decimal:
    match = re.fullmatch(rf"({_NUMBER})(?:[eE][+-]?\d{{1,2}})?", text)
    if match is None or len(text) > _LONGEST:
        raise UsageError(f'{word} "{text}" is not a number.')
    return Decimal(text)


def _spell(number: Fraction) -> str:
    return f"{Decimal(number.numerator) / Decimal(number.denominator):.6f}".rstrip("0").rstrip(".")


def _count(word: str, count: int) -> None:
    if count > MOST_VALUES:
        raise UsageError(
            f"{word}: more than {MOST_VALUES:,} values.", hint="Give a larger step, or a count: 1-100 [5]."
        )
