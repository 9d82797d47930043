"""Tags that the user wants in every caption."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Context, Tags
from lorasmith.tags.words import tag_key


def apply(tags: Tags, context: Context) -> Tags:
    """Append what [tags] add names and the caption lacks."""
    present = {tag_key(tag) for tag in tags}
    return tags + tuple(tag for tag in context.settings.add if tag_key(tag) not in present)


RULE = CaptionRule("add", "T13", "listed under add in [tags]", apply)
