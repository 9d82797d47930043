"""T5: undesired tags go, however they are spelt."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Ruling, Scene, Work, matcher, tag_by_tag


def prepare(scene: Scene) -> Work | None:
    """Drop what [tags] undesired names."""
    if not scene.settings.undesired:
        return None
    unwanted = matcher(scene.settings.undesired)
    return tag_by_tag(lambda tag: Ruling(tag, "dropped") if unwanted(tag) else None)


RULE = CaptionRule("undesired", "T5", "listed as undesired in [tags]", prepare)
