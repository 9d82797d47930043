"""T4: what is always there with the trigger is one with it."""

from __future__ import annotations

from lorasmith.project import SubjectKind
from lorasmith.tags.knowledge import COUNTS, FRAMING
from lorasmith.tags.rules.rule import CaptionRule, Ruling, Scene, Work, matcher, tag_by_tag
from lorasmith.tags.words import tag_key

FUSED, LOOKS, _ENOUGH = 0.95, 0.7, 8
"""The share, the share of what a look is called, and the images that it takes, where nothing is set."""
_LOOK = ("* style", "* (style)", "* (medium)", "monochrome", "greyscale", "sketch", "lineart", "pixel art", "chibi")


def prepare(scene: Scene) -> Work | None:
    """Drop tags that stand in at least the share [tags] fused of the subject's images; counts and framing stay."""
    least = share_of(scene)
    if not least or scene.images < 2:
        return None
    looks = LOOKS if scene.settings.fused is None and scene.subject is not SubjectKind.STYLE else least
    spared, is_look = matcher(scene.settings.keep), matcher(_LOOK)
    own = frozenset(map(tag_key, scene.trigger))

    def judge(tag: str) -> Ruling | None:
        key = tag_key(tag)
        share = scene.share(key)
        if share < (looks if is_look(tag) else least) or key in COUNTS or key in FRAMING or key in own or spared(tag):
            return None
        return Ruling(tag, "dropped", f"in {share:.0%} of the images: one with the trigger")

    return tag_by_tag(judge)


def share_of(scene: Scene) -> float:
    """As set; else `FUSED` for a tagger's tags, who names what it sees, and off for captions that somebody wrote."""
    if scene.settings.fused is not None:
        return scene.settings.fused
    return FUSED if scene.source == "tagger" and scene.images >= _ENOUGH else 0.0


RULE = CaptionRule("fused", "T4", "nearly always there: one with the trigger", prepare)
