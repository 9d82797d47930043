"""Captions as lists of tags."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache


def split_tags(text: str) -> tuple[str, ...]:
    """The tags of a comma-separated caption, trimmed, empty ones dropped, order and spelling kept.

    A line break separates like a comma, so nothing of a longer file is lost (kohya's trainer reads its first
    line only). A sentence is split at its commas; `join_tags` puts it together again.
    """
    pieces = text.replace("\r", "\n").replace("\n", ",").split(",")
    return tuple(tag for piece in pieces if (tag := " ".join(piece.split())))


def join_tags(tags: Iterable[str]) -> str:
    """One caption of many tags."""
    return ", ".join(tags)


@lru_cache(maxsize=65536)
def tag_key(tag: str) -> str:
    """The form in which two spellings of one tag are equal: case, spaces, underscores and escapes folded."""
    folded = unicodedata.normalize("NFKC", tag).casefold().replace("\\", "").replace("_", " ")
    return " ".join(folded.split())
