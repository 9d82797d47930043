"""T9: no tag twice."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Outcome, Ruling, Scene, Suspects, Tags, View, Work
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Of several spellings of one tag the first stays."""
    del scene
    respelt = Suspects(lambda tag: tag_key(tag) != tag)

    def work(tags: Tags, view: View) -> Outcome | None:
        del view
        if not respelt.among(tags) and len(set(tags)) == len(tags):
            return None
        return _thin(tags)

    return work


def _thin(tags: Tags) -> Outcome | None:
    if len(set(map(tag_key, tags))) == len(tags):
        return None
    first: dict[str, str] = {}
    rulings: list[Ruling] = []
    for tag in tags:
        if tag_key(tag) in first:
            rulings.append(Ruling(tag, "dropped"))
        else:
            first[tag_key(tag)] = tag
    return Outcome(tuple(first.values()), tuple(rulings))


RULE = CaptionRule("duplicates", "T9", "a tag said twice is said once", prepare)
