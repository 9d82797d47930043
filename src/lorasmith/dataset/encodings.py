"""Text in whatever encoding people saved it: UTF-8 is read, all else is named with a guess and read when it is told."""

from __future__ import annotations

import codecs
import re
from itertools import pairwise

from lorasmith.errors import UsageError

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
_KANA = re.compile("[\u3041-\u30fe]")
_HANGUL, _HAN = re.compile("[\uac00-\ud7a3]"), re.compile("[\u4e00-\u9fff]")


class NotTextError(ValueError):
    """Bytes that are no UTF-8 text, nor in the encoding that was told: `reason` and a `guess` of the encoding."""

    def __init__(self, reason: str, guess: str) -> None:
        super().__init__(f"{reason}; it looks like {guess}")
        self.reason = reason
        self.guess = guess


def decode(data: bytes, encoding: str = "") -> str:
    """The text of a file: UTF-8 with or without a mark, else in `encoding` if one is told. Raises NotTextError."""
    try:
        text = data.decode("utf-8-sig")
        if "\0" not in text and "\x1b" not in text:
            return text
        reason = "not UTF-8 text (NUL bytes in it)" if "\0" in text else "not plain text (it switches its letters)"
    except UnicodeDecodeError as fault:
        reason = f"not UTF-8 text (byte {fault.start})"
    if encoding:
        marked = next((name for mark, name in _MARKS if data.startswith(mark)), encoding)
        try:
            return data.decode(marked).removeprefix("\ufeff")
        except UnicodeError:
            reason = f"neither UTF-8 nor {encoding}"
    raise NotTextError(reason, guess_encoding(data))


def check_encoding(name: str) -> str:
    """The name, if it is one of an encoding. Raises UsageError."""
    try:
        codecs.lookup(name or "utf-8").decode(b"a")
    except (LookupError, UnicodeError, TypeError):
        hint = "Such as cp1252 (western), cp932 (Japanese), gb18030 (Chinese), euc_kr, cp1251 (Cyrillic), utf-16."
        raise UsageError(f'"{name}" is no encoding.', field="encoding", hint=hint) from None
    return name


def guess_encoding(data: bytes) -> str:
    """The likeliest encoding of what is no UTF-8, by its marks, its NULs and its letters."""
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if marked:
        return marked
    if b"\0" in data:
        return "utf-16-le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16-be"
    if b"\x1b$" in data or b"\x1b(" in data:
        return "iso2022_jp"
    runs = _HIGH.findall(data)
    if all(len(run) == 1 for run in runs):  # letters with accents among plain ones
        japanese = _decoded(data, "cp932")
        return "cp932" if japanese and len(_KANA.findall(japanese)) > 1 else "cp1252"
    for name, letters in (("cp932", _KANA), ("euc_jp", _KANA)):
        if (text := _decoded(data, name)) and letters.search(text) and not _has_half_width(text):
            return name
    if all(byte >= 0xC0 for run in runs for byte in run) and any(len(run) % 2 for run in runs):
        return "cp1251"
    for name, letters in (("euc_kr", _HANGUL), ("gb18030", _HAN), ("big5", _HAN), ("cp932", _HAN)):
        if (text := _decoded(data, name)) and len(letters.findall(text)) >= sum(
            not letter.isascii() for letter in text
        ):
            return name
    return "cp1252"


def _has_half_width(text: str) -> bool:
    """Katakana of half the width in a row, which other encodings read as Japanese give."""
    return any("\uff61" <= one <= "\uff9f" and "\uff61" <= other <= "\uff9f" for one, other in pairwise(text))


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        return ""
