"""T9: of what a person is and wears, a tag of few images must be likelier than others: a tagger that has no word for
something names it as something else, now here and now there, and T8 would keep all of it in the captions."""

from __future__ import annotations

import numpy as np

from lorasmith.project import EMBEDDED
from lorasmith.tags.knowledge import is_of_person
from lorasmith.tags.rows import Mask, TagRows, Tags
from lorasmith.tags.rules.rule import (
    CaptionRule,
    RuleResult,
    Scene,
    View,
    Views,
    Work,
    drop,
    image_by_image,
    matcher,
)
from lorasmith.tags.store import is_called
from lorasmith.tags.words import tag_key

SURE = 0.7
"""The least score of such a tag of the embedded tagger; measured on twenty sets (docs/log.md)."""


def prepare(scene: Scene) -> Work | None:
    """Drop a tagger's rare tags (T8) of a person to which it gives less than [tags] sure; what has a threshold of its
    own, or is listed under keep, is left alone."""
    sure = scene.settings.sure
    if scene.source != "tagger" or sure == 0:
        return None
    spared, decided = matcher(scene.settings.keep), frozenset(map(tag_key, scene.settings.thresholds))

    def least_of(tagger: str) -> float:
        return sure if sure is not None else SURE if is_called(tagger, EMBEDDED) else 0.0

    def needs(tag: str) -> bool:
        key = tag_key(tag)
        return not (key in decided or spared(tag)) and is_of_person(key) and scene.is_rare(key)

    def work(tags: Tags, view: View) -> RuleResult | None:
        least = least_of(view.tagger)
        dropped: dict[str, str] = {}
        for tag in tags if least else ():
            key = tag_key(tag)
            score = view.likelihood.get(key)
            if score is not None and score < least and needs(tag):
                count = scene.counts[key]
                dropped[tag] = f"in {count} of {scene.images} images, and its score {score:.2f} is under {least:.2f}"
        return drop(tags, dropped)

    def touched(rows: TagRows, views: Views) -> Mask:
        asking = {tagger for tagger in set(views.taggers) if least_of(tagger)}
        if not asking:
            return np.zeros(len(rows), bool)
        asked: Mask = np.array([tagger in asking for tagger in views.taggers], bool)
        return asked & rows.with_any(rows.find(needs))

    return image_by_image(work, touched)


RULE = CaptionRule("unsure", "T9", "in few images only, and the tagger is not sure of it", prepare)
