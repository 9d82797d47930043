"""T9: what another tag implies is not repeated."""

from __future__ import annotations

import numpy as np

from lorasmith.tags.implications import implied_by
from lorasmith.tags.rows import Mask, TagRows, Tags, common
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Scene, View, Views, Work, drop, image_by_image
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Drop the implied parents: of `red shirt, shirt` the second."""
    spared = frozenset(map(tag_key, scene.trigger))

    def work(tags: Tags, view: View) -> RuleResult | None:
        del view
        keys = set(map(tag_key, tags))
        said = {
            parent: key
            for key in keys
            for parent in implied_by(key)
            if parent in keys and parent != key and parent not in spared
        }
        return drop(tags, {tag: f"{said[tag_key(tag)]} says it" for tag in tags if tag_key(tag) in said})

    return image_by_image(work, _touched)


def _touched(rows: TagRows, views: Views) -> Mask:
    """By row whether a tag and one that it implies are there."""
    del views
    keys = rows.numbers.key_texts
    numbers = {key: number for number, key in enumerate(keys)}
    parents = {key: [numbers[parent] for parent in implied_by(key) if parent in numbers] for key in keys}
    owners, implied = rows.linked(parents)
    sought = np.zeros(len(keys), bool)
    sought[implied] = True
    there = sought[rows.keys]
    said = rows.owners[there] * len(keys) + rows.keys[there]
    return rows.of_rows(common(owners * len(keys) + implied, said) // max(1, len(keys)))


RULE = CaptionRule("implied", "T9", "another tag says it", prepare)
