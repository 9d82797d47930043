"""Tags that the user wants in every caption."""

from __future__ import annotations

from lorasmith.tags.rules.rule import CaptionRule, Scene, Work, append, append_all


def prepare(scene: Scene) -> Work | None:
    """Append what [tags] add names and the caption lacks."""
    words = scene.settings.add
    return Work(lambda tags, _: append(tags, words), lambda rows, _: append_all(rows, words)) if words else None


RULE = CaptionRule("add", "T13", "listed under add in [tags]", prepare)
