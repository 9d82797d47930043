"""T9: what another tag implies is not repeated."""

from __future__ import annotations

from lorasmith.tags.implications import implied_by
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Scene, Tags, View, Work, drop
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Drop the implied parents: of `red shirt, shirt` the second."""
    spared = frozenset(map(tag_key, scene.trigger))
    known: set[str] = set()
    parents: set[str] = set()  # all that is implied by any of the known tags

    def work(tags: Tags, view: View) -> RuleResult | None:
        del view
        keys = set(map(tag_key, tags))
        if not known.issuperset(keys):
            for key in keys - known:
                parents.update(implied_by(key))
            known.update(keys)
        if parents.isdisjoint(keys):
            return None
        said = {
            parent: key
            for key in keys
            for parent in implied_by(key)
            if parent in keys and parent != key and parent not in spared
        }
        return drop(tags, {tag: f"{said[tag_key(tag)]} says it" for tag in tags if tag_key(tag) in said})

    return work


RULE = CaptionRule("implied", "T9", "another tag says it", prepare)
