"""T7: what all pictures of one series look like gets a tag, so that it can be switched off."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Scene, Work, put_all_first, put_first


def prepare(scene: Scene) -> Work | None:
    """Put [tags] style in front; the trigger comes before it in the end."""
    words = scene.settings.style
    return Work(lambda tags, _: put_first(tags, words), lambda rows, _: put_all_first(rows, words)) if words else None


RULE = CaptionRule("style", "T7", "the look of the series, so that it can be switched off", prepare)
