"""T8: elements that are not consistent, and occur in few images, keep their tags."""

from __future__ import annotations

from lorasmith.tags.rules.absorb import is_featured
from lorasmith.tags.rules.rule import CaptionRule, Ruling, Scene, Work, matcher, tag_by_tag
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Keep what the dial would absorb though it is seldom there; lists of the user's own are not overruled."""
    featured, listed = is_featured(scene), matcher(scene.settings.absorb)
    if featured is None:
        return None

    def judge(tag: str) -> Ruling | None:
        key = tag_key(tag)
        if listed(tag) or not (featured(key) and scene.is_rare(key)):
            return None
        return Ruling(tag, "kept", f"in {scene.counts[key]} of {scene.images} images only: stays promptable")

    return tag_by_tag(judge)


RULE = CaptionRule("rare", "T8", "in few images only: stays promptable", prepare)
