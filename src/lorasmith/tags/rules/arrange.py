"""The order of the tags: as they come, the likeliest first, from the subject to its surroundings, or by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lorasmith.tags.knowledge import place_of
from lorasmith.tags.rules.rule import CaptionRule, Outcome, Ruling, Scene, Tags, View, Work
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Sort as [tags] arrange says; tags that are alike in it keep their order."""
    how = scene.settings.arrange
    if how == "kept":
        return None

    def work(tags: Tags, view: View) -> Outcome | None:
        places: dict[str, Callable[[str], Any]] = {
            "score": lambda tag: -view.likelihood.get(tag_key(tag), 1.0),
            "groups": lambda tag: place_of(tag_key(tag)),
            "name": tag_key,
        }
        after = tuple(sorted(tags, key=places[how]))
        moved = (Ruling(tag, "moved") for tag, old in zip(after, tags, strict=True) if tag != old)
        return Outcome(after, tuple(moved)) if after != tags else None

    return work


RULE = CaptionRule("arrange", "T13", "put in the order that [tags] arrange asks for", prepare)
