"""Captions as lists of tags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from sys import intern


def split_tags(text: str) -> tuple[str, ...]:
    """The tags of a comma-separated caption, trimmed, empty ones dropped, order and spelling kept.

    A line break separates like a comma, so nothing of a longer file is lost (kohya's trainer reads its first
    line only), and so do the commas of other scripts, and between tags `;` and a full stop; what cannot be seen goes.
    A sentence is split at its commas; `join_tags` puts it together again.
    """
    if not text.isascii() or ";" in text or ". " in text:
        text = _plain(text)
    if _TIDY.fullmatch(text):
        return tuple(map(intern, text.split(", ")))  # the same tag in many captions is one string
    pieces = text.replace("\r", "\n").replace("\n", ",").split(",")
    return tuple(tag for piece in pieces if (tag := " ".join(piece.split())))


def _plain(text: str) -> str:
    """The text with commas for what separates tags, without what cannot be seen."""
    text = text.translate(_UNSEEN)
    if (";" in text or ". " in text) and not is_sentence(text):
        text = _STOP.sub(", ", _SEMICOLON.sub(", ", text))
    return text


def join_tags(tags: Iterable[str]) -> str:
    """One caption of many tags."""
    return ", ".join(tags)


class _Keys(dict[str, str]):
    """The keys of the tags that were asked for; begun anew when they become many."""

    def __missing__(self, tag: str) -> str:
        if len(self) >= _MOST_KEYS:
            self.clear()
        folded = unicodedata.normalize("NFKC", tag.translate(_UNSEEN)).casefold()
        if "(" in folded or "[" in folded or "{" in folded or ")" in folded or "]" in folded or "}" in folded:
            folded = _unweighted(folded)
        folded = " ".join(folded.replace("\\", "").replace("_", " ").split())
        key = self[tag] = folded[:-1] if _ENDED.fullmatch(folded) else folded
        return key


_MOST_KEYS = 1 << 17
_UNSEEN: dict[int, str | None] = dict.fromkeys(
    (0xAD, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0x61C)
) | dict.fromkeys(map(ord, "\uff0c\u3001\u060c\uff1b\ufe50\ufe51\uff64\u061b"), ", ")
"""Letters without a shape go, except the joiners of scripts and faces; the commas of other scripts become ours."""
for _joiner in (0x200C, 0x200D):
    del _UNSEEN[_joiner]
_SEMICOLON = re.compile(r"(?<=[\w)\]]);\s*(?=\S)|(?<=[\w)\]]);\s*$")
_STOP = re.compile(r"(?<=[^\W_]{4})(?<!capt)(?<!prof)(?<!dept)\.\s+(?=[a-z0-9(])")
_ENDED = re.compile(r"(?:.*[ _])?[^\W_]{3,}\.")
"""A word with a full stop behind it: not `...`, `._.` or `u.n.`"""
_WHOLE = re.compile(r"[(\[{]+([^()\[\]{}\\]*?)(?::[ ]*[+-]?[\d.]+[ ]*)?[)\]}]+")
_OPENED = re.compile(r"[(\[{]+([^()\[\]{}\\]+)")
_CLOSED = re.compile(r"([^()\[\]{}\\]+?)(?::[ ]*[+-]?[\d.]+[ ]*)?[)\]}]+")
_WORD = re.compile(r"[^\W\d_]{2}")


def _unweighted(key: str) -> str:
    """A tag without the brackets and the weight that emphasise it: `(tag:1.2)`, `((tag))`, or a part of such a group.
    Signs of faces and escaped brackets are the tag's own."""
    found = _WHOLE.fullmatch(key) or _OPENED.fullmatch(key) or _CLOSED.fullmatch(key)
    return found.group(1).strip() if found and _WORD.search(found.group(1)) else key


tag_key: Callable[[str], str] = _Keys().__getitem__
"""The form in which two spellings of one tag are equal: case, spaces, underscores and escapes folded. It is asked for
millions of times, so that this is a look into a dict and not a call."""


def without_trigger(caption: str, trigger: str) -> str:
    """The caption as somebody who does not know the trigger would write it (C6).

    Tags equal to a tag of the trigger go; in other tags and sentences the trigger's words are cut out.
    """
    keys = {tag_key(tag) for tag in split_tags(trigger)}
    if not keys:
        return caption
    words = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, sorted(keys, key=len, reverse=True))) + r")(?!\w)", re.I)
    rest = [" ".join(words.sub(" ", tag).split()) for tag in split_tags(caption) if tag_key(tag) not in keys]
    return join_tags(tag for tag in rest if tag)


def is_sentence(text: str) -> bool:
    """Whether a caption, or a part of one, is written as a sentence: seven words without a comma, or five of which
    one is a word that tags do not use."""
    if not _LONG.search(text):
        return False
    for piece in text.split(","):
        if piece.count(" ") + piece.count("\n") < _SENTENCE - 3:
            continue
        words = piece.casefold().split()
        if len(words) >= _SENTENCE or (len(words) >= _SENTENCE - 2 and not _LITTLE.isdisjoint(words)):
            return True
    return False


_SENTENCE = 7
_LONG = re.compile(r"(?:\A|,)\s*+[^\s,]++(?:\s++[^\s,]++){4}")
"""Five words without a comma: without them nothing is a sentence."""
_TIDY = re.compile(r"[^\s,]++(?:,? [^\s,]++)*+")
"""A caption whose tags are what stands between its commas, as nearly all are."""
_LITTLE = frozenset(("a", "an", "the", "is", "are", "his", "her", "their", "its", "who", "which", "with", "while"))


def edit_distance(one: str, other: str, most: int) -> int:
    """How many letters must be put in, left out, replaced, or swapped with their neighbour to make `other` of `one`;
    `most` + 1 when it is more than `most` (optimal string alignment)."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        before, last, row = row, before, [i]
        for j, wanted in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most and min(before) > most:
            return most + 1
    return min(row[-1], most + 1)
