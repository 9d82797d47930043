"""T9: no tag twice."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Context, Tags
from lorasmith.tags.words import tag_key


def apply(tags: Tags, context: Context) -> Tags:
    """Of several spellings of one tag the first stays."""
    del context
    first: dict[str, str] = {}
    for tag in tags:
        first.setdefault(tag_key(tag), tag)
    return tuple(first.values())


RULE = CaptionRule("duplicates", "T9", "a tag said twice is said once", apply)
