"""T1: a misspelt trigger becomes the trigger."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Ruling, Scene, Work, tag_by_tag
from lorasmith.tags.typos import find_typos, is_near
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Mend captions that lack the trigger and have a word instead that is nearly it."""
    if scene.source not in ("caption", "both") or not scene.trigger:
        return None
    trigger = scene.trigger[0]
    if not any(is_near(key, trigger) for key in scene.counts):
        return None
    typos = find_typos(trigger, scene.keys, scene.known)
    if not typos:
        return None
    return tag_by_tag(lambda tag: Ruling(tag, "changed", became=trigger) if tag_key(tag) in typos else None)


RULE = CaptionRule("typos", "T1", "the trigger, misspelt", prepare)
