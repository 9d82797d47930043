"""T1: the trigger comes first in every caption."""

from __future__ import annotations

import re
from functools import lru_cache

from lorasmith.tags.rules.rule import CaptionRule, Context, Tags
from lorasmith.tags.words import tag_key


def apply(tags: Tags, context: Context) -> Tags:
    """Put the trigger in front; a caption that opens with a phrase around it (`photo of NAME`) is left (T3)."""
    trigger = context.trigger
    keys = {tag_key(tag) for tag in trigger}
    if len(trigger) == 1 and tags and tag_key(tags[0]) not in keys and _word(trigger[0]).search(tag_key(tags[0])):
        return tags
    return trigger + tuple(tag for tag in tags if tag_key(tag) not in keys)


@lru_cache(maxsize=256)
def _word(trigger: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(tag_key(trigger))}(?!\w)")


RULE = CaptionRule("trigger", "T1", "the trigger comes first in every caption", apply)
