"""T7: images of low quality say so, by what was measured."""

from __future__ import annotations

from lorasmith.tags.rows import Tags
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Scene, View, Work, append, append_all


def prepare(scene: Scene) -> Work | None:
    """Append [tags] quality to blurred and small images."""
    words = scene.settings.quality
    if not words:
        return None

    def one(tags: Tags, view: View) -> RuleResult | None:
        return append(tags, words, view.poor) if view.poor else None

    return Work(one, lambda rows, views: append_all(rows, words, views.poor))


RULE = CaptionRule("quality", "T7", "the image is of low quality, and the tag keeps that out of the adapter", prepare)
