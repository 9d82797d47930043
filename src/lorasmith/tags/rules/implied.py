"""T9: what another tag implies is not repeated."""

from __future__ import annotations

from lorasmith.tags.knowledge import implied_by
from lorasmith.tags.rules.rule import CaptionRule, Outcome, Scene, Tags, View, Work, drop
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Drop the implied parents: of `red shirt, shirt` the second."""
    spared = frozenset(map(tag_key, scene.trigger))
    known: set[str] = set()
    parents: set[str] = set()  # all that is implied by any of the known tags, however it is spelt
    spellings: dict[str, str] = {}

    def work(tags: Tags, view: View) -> Outcome | None:
        del view
        if not known.issuperset(tags):
            for tag in set(tags) - known:
                key = spellings[tag] = tag_key(tag)
                parents.update(implied_by(key))
            known.update(tags)
        keys = set(map(spellings.__getitem__, tags))
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
