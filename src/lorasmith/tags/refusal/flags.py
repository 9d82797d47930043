"""What a text speaks of, as bits: those of several texts are put together by "or"."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.tags.refusal.entries import Language, read_list

MINOR, SEXUAL, HARMLESS = 1, 2, 4
BOTH = MINOR | SEXUAL
_FIRST = 3
_SHOWN, _MINOR_BESIDE, _SEXUAL_BESIDE = 1, 2, 4
"""Of a language: that a text shows it, and what its doubtful words mean there."""


def side_flags(language: Language) -> Iterator[tuple[str, int, bool]]:
    """Every entry of a language with its flags and whether it counts only alone."""
    shown = _of(language, _SHOWN) if language.beside else 0
    for entries, flags in (
        (language.minor, MINOR | shown),
        (language.sexual, SEXUAL | shown),
        (language.either, BOTH | shown),
        (language.ages, MINOR),
        (language.harmless, HARMLESS),
        (language.shows, shown),
    ):
        for entry in entries:
            yield entry, flags, False
    for side, flag in (("minor", MINOR), ("sexual", SEXUAL)):
        for entry in (language.alone or {}).get(side, ()):
            yield entry, flag, True
    for side, bit in (("minor", _MINOR_BESIDE), ("sexual", _SEXUAL_BESIDE)):
        for entry in (language.beside or {}).get(side, ()):
            yield entry, _of(language, bit), False


def letter_flags(text: str) -> int:
    """The languages that a text shows by letters of their own."""
    if text.isascii():
        return 0
    lower = text.lower()
    return sum(
        _of(language, _SHOWN)
        for language in read_list().languages
        if language.letters and any(letter in lower for letter in language.letters)
    )


def settled(flags: int) -> int:
    """MINOR and SEXUAL, with what doubtful words mean in the languages that are shown."""
    found = flags & BOTH
    beside = flags >> _FIRST
    while beside:
        if beside & _SHOWN:
            found |= MINOR if beside & _MINOR_BESIDE else 0
            found |= SEXUAL if beside & _SEXUAL_BESIDE else 0
        beside >>= 3
    return found


def _of(language: Language, bits: int) -> int:
    names = [each.name for each in read_list().languages]
    return bits << (_FIRST + 3 * names.index(language.name))
