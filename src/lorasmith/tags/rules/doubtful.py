"""T9: no false positives: what a tagger that knows the tag does not see is not said."""

from __future__ import annotations

from lorasmith.tags.rows import Mask, TagRows, Tags
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Scene, View, Views, Work, drop, image_by_image
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Drop a caption's tags to which the tagger gives less than [tags] doubt, where it has looked at the image."""
    doubt = scene.settings.doubt
    if not doubt or scene.source not in ("caption", "both"):
        return None

    def work(tags: Tags, view: View) -> RuleResult | None:
        return drop(tags, find_doubtful(tags, view, scene.known, doubt)) if view.scores else None

    def touched(rows: TagRows, views: Views) -> Mask:
        return views.scored & rows.with_any(rows.find_keys(scene.known))

    return image_by_image(work, touched)


def find_doubtful(tags: Tags, view: View, known: frozenset[str], doubt: float) -> dict[str, str]:
    """Tag -> why it is doubted: the tagger knows it, looked at the image, and gave it less than `doubt`."""
    scores = view.likelihood
    return {
        tag: f"the tagger gives it {scores.get(key, 0.0):.3f}"
        for tag in tags
        if (key := tag_key(tag)) in known and scores.get(key, 0.0) < doubt
    }


RULE = CaptionRule("doubtful", "T9", "the tagger knows it and does not see it", prepare)
