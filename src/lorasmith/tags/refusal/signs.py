"""Entries of Chinese, Japanese and Korean, found anywhere in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lorasmith.tags.refusal.entries import RefusalList
from lorasmith.tags.refusal.flags import BOTH, MINOR, SEXUAL
from lorasmith.tags.refusal.spelling import SPACELESS, plain

_HAS = re.compile(rf"[{SPACELESS}]")
_DIGITS = ("〇零영", "一일", "二两兩이", "三삼", "四사", "五오", "六육", "七칠", "八팔", "九구")
_NUMERALS = {sign: value for value, signs in enumerate(_DIGITS) for sign in signs}
_TEN, _GREATER = "十십", "百千万萬백천만"
_COUNT = "".join(_NUMERALS) + _TEN + _GREATER
_SCRIPTS = ("\u30a1-\u30fa\u30fc", "\u3041-\u3096", "\u4e00-\u9fff", "\uac00-\ud7a3")
_ADULT = 18


def has_signs(text: str) -> bool:
    """Whether any sign of these languages is in it: in no other text an entry is found."""
    return not text.isascii() and _HAS.search(text) is not None


class SignMatcher:
    """Finds the entries in a reading that has signs."""

    def __init__(self, entries: RefusalList) -> None:
        languages = [each for each in entries.languages if not each.spaced]

        def pattern(found: Iterable[str]) -> re.Pattern[str]:
            forms = sorted({plain(entry) for entry in found}, key=len, reverse=True)
            return re.compile(f"(?=({'|'.join(map(self._form, forms))}))")

        self._words = {word for each in languages for word in each.number_words}
        self._sides = (
            (MINOR, pattern(entry for each in languages for entry in each.minor)),
            (SEXUAL, pattern(entry for each in languages for entry in each.sexual)),
            (BOTH, pattern(entry for each in languages for entry in each.either)),
        )
        self._harmless = pattern(entry for each in languages for entry in each.harmless)
        self._ages = pattern(entry for each in languages for entry in each.ages)

    def _form(self, entry: str) -> str:
        edge = ""
        if entry.startswith("^"):
            entry = entry[1:]
            script = next((each for each in _SCRIPTS if re.match(f"[{each}]", entry)), None)
            edge = f"(?<![{script}])" if script else ""
        words = "|".join(sorted(map(re.escape, self._words), key=len, reverse=True))
        number = rf"\s*(?<![\d{_COUNT}])(?<!\d[,.])(?:\d{{1,3}}|[{_COUNT}]{{1,6}}|(?<![\uac00-\ud7a3])(?:{words}))\s*"
        return edge + re.escape(entry).replace(r"\ ", r"\s*").replace("<n>", number).replace(" ", r"\s*")

    def flags(self, text: str) -> int:
        """What the entries in a reading mean together; what a harmless phrase covers does not count."""
        harmless = [found.span(1) for found in self._harmless.finditer(text)]
        spans = [(found.span(1), flags) for flags, side in self._sides for found in side.finditer(text)]
        spans += [(found.span(1), MINOR) for found in self._ages.finditer(text) if self._is_young(found[1])]
        total = 0
        for (start, end), flags in spans:
            if not any(left <= start and end <= right for left, right in harmless):
                total |= flags
        return total

    def _is_young(self, age: str) -> bool:
        """Whether the number in an age is below 18."""
        digits = re.search(r"\d+", age)
        if digits is not None:
            return int(digits[0]) < _ADULT
        run = re.search(f"[{_COUNT}]+", age)
        word = max((word for word in self._words if word in age), key=len, default="")
        if run is None or len(word) > len(run[0]):
            return bool(word)
        value = _value(run[0])
        return value is not None and value < _ADULT


def _value(signs: str) -> int | None:
    """A number below 100 in signs; None for a greater one."""
    if any(sign in _GREATER for sign in signs):
        return None
    for ten in _TEN:
        before, found, after = signs.partition(ten)
        if found:
            if (before and before not in _NUMERALS) or (after and after not in _NUMERALS):
                return None
            return (_NUMERALS[before] if before else 1) * 10 + (_NUMERALS[after] if after else 0)
    value = 0
    for sign in signs:
        value = value * 10 + _NUMERALS[sign]
    return value


def number_signs(number: int) -> str:
    """A number below 20 in signs: 12 is 十二."""
    unit = _DIGITS[number % 10][0]
    return unit if number < 10 else f"十{unit if number % 10 else ''}"
