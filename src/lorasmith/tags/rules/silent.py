"""T11: a style is described wholly, or not at all."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Scene, Tags, View, Work, drop


def prepare(scene: Scene) -> Work | None:
    """Drop everything when [tags] describe is "nothing"; the trigger is left alone."""
    return work if scene.settings.describe == "nothing" else None


def work(tags: Tags, view: View) -> RuleResult | None:
    """Drop all tags."""
    del view
    return drop(tags, dict.fromkeys(tags, ""))


RULE = CaptionRule("silent", "T11", "nothing but the trigger is said", prepare)
