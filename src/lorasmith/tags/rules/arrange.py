"""The order of the tags: as they come, the likeliest first, from the subject to its surroundings, or by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lorasmith.tags.knowledge import place_of
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Ruling, Scene, Tags, View, Work
from lorasmith.tags.words import tag_key


class _Places(dict[str, Any]):
    """The place of every tag that was asked for."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, tag: str) -> Any:
        place = self[tag] = self._find(tag)
        return place


def prepare(scene: Scene) -> Work | None:
    """Sort as [tags] arrange says; tags that are alike in it keep their order."""
    how = scene.settings.arrange
    if how == "kept":
        return None

    places = _Places(lambda tag: place_of(tag_key(tag)) if how == "groups" else tag_key(tag))

    def work(tags: Tags, view: View) -> RuleResult | None:
        key = places.__getitem__ if how != "score" else lambda tag: -view.likelihood.get(tag_key(tag), 1.0)
        after = tuple(sorted(tags, key=key))
        if after == tags:
            return None
        return RuleResult(after, lambda: _tell_moves(tags, after))

    return work


def _tell_moves(before: Tags, after: Tags) -> tuple[Ruling, ...]:
    return tuple(Ruling(tag, "moved") for tag, old in zip(after, before, strict=True) if tag != old)


RULE = CaptionRule("arrange", "T13", "put in the order that [tags] arrange asks for", prepare)
