"""One text in every spelling in which it can be read: what hides a word from a list hides it from no reader."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

#: Letters that look like Latin ones, by the Latin one.
_LOOKALIKES = {
    letter: latin
    for latin, letters in {
        "a": "аαɑᴀ🅐🅰",
        "b": "вьβʙ🅑🅱",
        "c": "сϲᴄⅽ",
        "d": "ԁᴅđⅾ",
        "e": "еεᴇєɛ",
        "f": "ꜰƒ",
        "g": "ɡɢԍ",
        "h": "һнʜħ",
        "i": "іıɪιӏⅼ",
        "j": "јȷᴊ",
        "k": "кκᴋ",
        "l": "ʟł",
        "m": "мᴍ",
        "n": "пηɴɳŋ",
        "o": "оοσᴏøօ",
        "p": "рρᴘ",
        "q": "ԛ",
        "r": "гʀᴦ",
        "s": "ѕꜱʂ",
        "t": "тτᴛŧ",
        "u": "υᴜц",
        "v": "ѵνᴠ",
        "w": "ѡωᴡ",
        "x": "хχ",
        "y": "уγʏ",
        "z": "ᴢʐ",
    }.items()
    for letter in letters
} | {chr(0x1F1E6 + number): chr(ord("a") + number) for number in range(26)}  # regional indicators
_LOOKING = str.maketrans(_LOOKALIKES)
_DIGITS = str.maketrans("0134578926@$!|+€£¡¢", "oieastbgzgasiitelic")
_BLANK = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters by their category that show nothing."""
KANA_MARKS = ("\u3099", "\u309a")
SPACELESS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7a3"
"""Scripts whose words need no spaces, for a class of a regular expression."""
_LETTER = r"[^\W\d_]"
_ODD = re.compile(rf"(?<={_LETTER})[\d@$!|+€£¡¢]|[\d@$!|+€£¡¢](?={_LETTER})")
_MIXED = re.compile(r"[\w@$!|+€£¡¢]*")
_INSIDE = re.compile(rf"(?<={_LETTER})[^\w\s,;，、。]+(?={_LETTER})")
_BRACKETS = re.compile(r"[()\[\]{}<>\\]")
_SPACED = re.compile(r"(?<![^\W_])[^\W_](?:[\W_]{1,3}[^\W_](?![^\W_])){2,}")
_APART = re.compile(rf"(?<=[{SPACELESS}])[\s·・._\-*/|]+(?=[{SPACELESS}])")
_STRETCHED = re.compile(rf"({_LETTER})\1{{2,}}")
_HIDDEN = re.compile(rf"{_LETTER}+\*{_LETTER}+")
RUN = "\x1f"
"""Stands around what was spaced letters."""


def plain(text: str) -> str:
    """Lower-case letters without accents, width, form or invisible characters; underscores are spaces."""
    if text.isascii():
        return text.lower().replace("_", " ") if text.isprintable() else _collapse(text.lower())
    letters = unicodedata.normalize("NFKD", text).casefold()
    kept: list[str] = []
    for character in letters:
        kind = unicodedata.category(character)
        if kind in ("Cf", "Me", "Co", "Cs") or character in _BLANK:
            continue
        if kind == "Mn" and character not in KANA_MARKS:
            continue
        kept.append(character)
    return _collapse(unicodedata.normalize("NFC", "".join(kept)))


def _collapse(text: str) -> str:
    return "".join(" " if c == "_" else c if c.isprintable() or c in "\n\t" else "" if c == "\0" else " " for c in text)


def readings(text: str) -> Iterator[str]:
    """The text as it may be read, the plain reading first, none twice."""
    first = plain(text)
    seen = {first: None}
    if not text.isascii():
        apart = "".join(" " if unicodedata.category(c) == "Cf" or c in _BLANK else c for c in text)
        seen.setdefault(plain(apart))
        seen.setdefault(first.translate(_LOOKING))
    for reading in tuple(seen):
        if _ODD.search(reading):
            seen.setdefault(_as_letters(reading))
    for reading in tuple(seen):
        for other in (
            _INSIDE.sub("", reading),
            _BRACKETS.sub("", reading),
            _SPACED.sub(_joined, reading),
            _STRETCHED.sub(r"\1", reading),
            _STRETCHED.sub(r"\1\1", reading),
            _APART.sub("", reading) if not reading.isascii() else reading,
        ):
            seen.setdefault(other)
    yield from seen


def _as_letters(text: str) -> str:
    return _MIXED.sub(lambda run: run[0].translate(_DIGITS) if _ODD.search(run[0]) else run[0], text)


def _joined(run: re.Match[str]) -> str:
    signs = [c for c in run[0] if c.isalnum()]
    if 2 * sum(c.isalpha() for c in signs) < len(signs):
        return run[0]
    return f"{RUN}{''.join(signs).translate(_DIGITS)}{RUN}"


def skeleton(text: str) -> str:
    """The text with letters as one that digits cannot tell apart (i and l)."""
    return text.replace("l", "i")


def hidden_words(text: str) -> Iterator[str]:
    """Words in which a star stands for a letter."""
    return iter(dict.fromkeys(found[0] for found in _HIDDEN.finditer(text)))
