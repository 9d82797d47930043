"""T9: of what a person is and wears, a tag of few images must be likelier than others: a tagger that has no word for
something names it as something else, now here and now there, and T8 would keep all of it in the captions."""

from __future__ import annotations

from lorasmith.project import EMBEDDED
from lorasmith.tags.knowledge import is_of_person
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Scene, Tags, View, Work, drop, matcher
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

    def work(tags: Tags, view: View) -> RuleResult | None:
        least = sure if sure is not None else SURE if is_called(view.tagger, EMBEDDED) else 0.0
        dropped: dict[str, str] = {}
        for tag in tags if least else ():
            key = tag_key(tag)
            score = view.likelihood.get(key)
            if score is None or score >= least or key in decided or spared(tag) or not is_of_person(key):
                continue
            if scene.is_rare(key):
                count = scene.counts[key]
                dropped[tag] = f"in {count} of {len(scene.keys)} images, and its score {score:.2f} is under {least:.2f}"
        return drop(tags, dropped)

    return work


RULE = CaptionRule("unsure", "T9", "in few images only, and the tagger is not sure of it", prepare)
