"""T4: what makes up the subject is left out, so that the trigger takes it over."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Context, Tags, matcher


def apply(tags: Tags, context: Context) -> Tags:
    """Drop what [tags] absorb names."""
    absorbed = matcher(context.settings.absorb)
    return tuple(tag for tag in tags if not absorbed(tag))


RULE = CaptionRule("absorb", "T4", "part of the subject: the trigger absorbs it", apply)
