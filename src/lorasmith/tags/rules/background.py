"""T14: the one background of a single-image set has a name, so that it can be left out."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Scene, Work, append, append_all


def prepare(scene: Scene) -> Work | None:
    """Append [tags] background to every caption."""
    words = scene.settings.background
    return Work(lambda tags, _: append(tags, words), lambda rows, _: append_all(rows, words)) if words else None


RULE = CaptionRule("background", "T14", "names the shared background, so that it can be left out", prepare)
