"""T11: a style is described wholly, or not at all."""

from __future__ import annotations

import numpy as np

from lorasmith.tags.rows import TagRows, Tags
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Scene, View, Views, Work, drop


def prepare(scene: Scene) -> Work | None:
    """Drop everything when [tags] describe is "nothing"; the trigger is left alone."""
    return Work(_drop, _drop_all) if scene.settings.describe == "nothing" else None


def _drop(tags: Tags, view: View) -> RuleResult | None:
    del view
    return drop(tags, dict.fromkeys(tags, ""))


def _drop_all(rows: TagRows, views: Views) -> TagRows:
    del views
    return rows.kept(np.zeros(len(rows.tags), bool))


RULE = CaptionRule("silent", "T11", "nothing but the trigger is said", prepare)
