"""Captions as lists of tags."""

from __future__ import annotations

import re
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
