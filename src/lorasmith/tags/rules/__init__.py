"""The caption rules, one a file, in the order in which they work."""

from lorasmith.tags.rules import absorb, additions, duplicates, trigger, underscores, undesired
from lorasmith.tags.rules.rule import CaptionRule

RULES: tuple[CaptionRule, ...] = (
    underscores.RULE,
    duplicates.RULE,
    undesired.RULE,
    absorb.RULE,
    additions.RULE,
    trigger.RULE,
)
