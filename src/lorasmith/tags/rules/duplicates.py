"""T9: no tag twice."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Outcome, Ruling, Scene, Tags, View, Work
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Of several spellings of one tag the first stays."""
    del scene
    return work


def work(tags: Tags, view: View) -> Outcome | None:
    """Keep the first of each."""
    del view
    first: dict[str, str] = {}
    for tag in tags:
        first.setdefault(tag_key(tag), tag)
    if len(first) == len(tags):
        return None
    seen: set[str] = set()
    rulings: list[Ruling] = []
    for tag in tags:
        key = tag_key(tag)
        if key in seen:
            rulings.append(Ruling(tag, "dropped"))
        seen.add(key)
    return Outcome(tuple(first.values()), tuple(rulings))


RULE = CaptionRule("duplicates", "T9", "a tag said twice is said once", prepare)
