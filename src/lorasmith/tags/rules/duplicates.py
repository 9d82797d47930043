"""T9: no tag twice."""

from __future__ import annotations

from lorasmith.tags.rows import TagRows, Tags
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Ruling, Scene, View, Views, Work
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Of several spellings of one tag the first stays."""
    del scene
    return Work(_thin, _thin_all)


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


def _thin_all(rows: TagRows, views: Views) -> TagRows:
    del views
    thick = rows.repeating(rows.keys)[rows.owners]
    return rows.kept(~thick | rows.firsts(thick, rows.keys))


RULE = CaptionRule("duplicates", "T9", "a tag said twice is said once", prepare)
