"""Taggers write tags with underscores; captions are words."""

from __future__ import annotations

from lorasmith.tags.knowledge import FACES
from lorasmith.tags.rules.rule import CaptionRule, Ruling, Scene, Work, tag_by_tag

_SHORTEST = 4  # shorter ones are faces, such as ^_^


def prepare(scene: Scene) -> Work | None:
    """Underscores of a tagger's tags become spaces, not in faces; captions are left as their author wrote them."""
    return tag_by_tag(_judge) if scene.source in ("tagger", "both") else None


def _judge(tag: str) -> Ruling | None:
    if "_" not in tag or len(tag) < _SHORTEST or tag.casefold() in FACES or not any(map(str.isalpha, tag)):
        return None
    spaced = " ".join(tag.replace("_", " ").split())
    return Ruling(tag, "changed", became=spaced) if spaced != tag else None


RULE = CaptionRule("underscores", "T9", "captions are written in words", prepare)
