"""Taggers write tags with underscores; captions are words."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Context, Tags

_SHORTEST = 4  # shorter ones are faces, such as ^_^


def apply(tags: Tags, context: Context) -> Tags:
    """Underscores of a tagger's tags become spaces; imported captions are left as their author wrote them."""
    if context.source != "tagger":
        return tags
    return tuple(_spaced(tag) for tag in tags)


def _spaced(tag: str) -> str:
    is_words = len(tag) >= _SHORTEST and any(letter.isalpha() for letter in tag)
    return tag.replace("_", " ") if is_words else tag


RULE = CaptionRule("underscores", "T9", "captions are written in words", apply)
