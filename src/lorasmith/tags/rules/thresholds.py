"""T9: what the tagger thinks unlikely is not said."""

from __future__ import annotations

from lorasmith.tags.rows import Tags
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Scene, View, Work, drop, image_by_image
from lorasmith.tags.settings import least_score


def prepare(scene: Scene) -> Work | None:
    """Drop a tagger's tags whose score is under the threshold of their category, or their own. Beside a caption's own
    tags only those stand that are over it."""
    if scene.source != "tagger":
        return None
    leasts: dict[str, float] = {}

    def work(tags: Tags, view: View) -> RuleResult | None:
        dropped: dict[str, str] = {}
        for tag in tags:
            score = view.scores.get(tag)
            if score is None:
                continue
            least = leasts.get(tag)
            if least is None:
                least = leasts[tag] = least_score(scene.settings, tag, view.categories.get(tag, 0))
            if score < least:
                dropped[tag] = f"its score {score:.2f} is under {least:.2f}"
        return drop(tags, dropped)

    return image_by_image(work, lambda _, views: views.scored)


RULE = CaptionRule("thresholds", "T9", "its score is under the threshold", prepare)
