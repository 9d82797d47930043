"""T9: one thing has one name."""

from __future__ import annotations

from lorasmith.tags.knowledge import ALIASES
from lorasmith.tags.rules.rule import CaptionRule, Ruling, Scene, Work, tag_by_tag
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Call a tag what [tags] aliases, or else the list of common misspellings, calls it."""
    names = dict(ALIASES) | {tag_key(tag): name for tag, name in scene.settings.aliases.items()}

    def judge(tag: str) -> Ruling | None:
        name = names.get(tag_key(tag))
        return Ruling(tag, "changed", became=name) if name is not None and name != tag else None

    return tag_by_tag(judge)


RULE = CaptionRule("aliases", "T9", "another name of the same thing", prepare)
