"""T9: no tag twice."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Ruling, Scene, Tags, View, Work
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Of several spellings of one tag the first stays."""
    del scene
    return _thin


def _thin(tags: Tags, view: View) -> RuleResult | None:
    del view
    if len(set(map(tag_key, tags))) == len(tags):
        return None
    first: dict[str, str] = {}
    rulings: list[Ruling] = []
    for tag in tags:
        if tag_key(tag) in first:
            rulings.append(Ruling(tag, "dropped"))
        else:
            first[tag_key(tag)] = tag
    return RuleResult(tuple(first.values()), lambda: tuple(rulings))


RULE = CaptionRule("duplicates", "T9", "a tag said twice is said once", prepare)
