"""T5: undesired tags go, however they are spelt."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Context, Tags, matcher


def apply(tags: Tags, context: Context) -> Tags:
    """Drop what [tags] undesired names."""
    unwanted = matcher(context.settings.undesired)
    return tuple(tag for tag in tags if not unwanted(tag))


RULE = CaptionRule("undesired", "T5", "listed as undesired in [tags]", apply)
