"""The base's own world: which tags it was trained on, group by group, and where they can be drawn together.

Only a base that knows its world (the embedded one) has one. From it come valid prompts that have nothing to do with
the subject, and values that the subject was never trained with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lorasmith.errors import ExamError

#: How often a random prompt names a value of an optional group.
OPTIONAL_SHARE = 0.35


@dataclass(frozen=True)
class WorldGroup:
    """One group: tag -> the styles in which it can be drawn (None: in all)."""

    name: str
    tags: Mapping[str, frozenset[str] | None]
    optional: bool

    def within(self, style: str | None) -> tuple[str, ...]:
        """The tags that can be drawn in `style`; all of them when the style is not known."""
        return tuple(tag for tag, styles in self.tags.items() if style is None or styles is None or style in styles)


@dataclass(frozen=True)
class World:
    """The groups in prompt order; `always` are the tags that stand in every prompt."""

    groups: Mapping[str, WorldGroup]
    always: tuple[str, ...] = ()
    style_group: str | None = "style"

    def styles(self) -> tuple[str, ...]:
        group = self.groups.get(self.style_group or "")
        return tuple(group.tags) if group else ()

    def draw(self, random: np.random.Generator) -> dict[str, str]:
        """A random valid assignment: a style, then one value a group, optional groups now and then."""
        drawn: dict[str, str] = {}
        styles = self.styles()
        style = str(random.choice(styles)) if styles else None
        if style is not None and self.style_group is not None:
            drawn[self.style_group] = style
        for group in self.groups.values():
            if group.name == self.style_group:
                continue
            values = group.within(style)
            if values and not (group.optional and random.random() >= OPTIONAL_SHARE):
                drawn[group.name] = str(random.choice(values))
        return drawn

    def prompt(self, drawn: Mapping[str, str]) -> tuple[str, ...]:
        """The tags of an assignment in the world's own order: style, what is always said, the rest."""
        style = drawn.get(self.style_group or "")
        first = () if style is None else (style,)
        return (*first, *self.always, *(drawn[g] for g in self.groups if g in drawn and g != self.style_group))


def read_world(document: Mapping[str, Any]) -> World:
    """A world.json: ``{"always": [...], "groups": {group: {"optional": bool, "tags": {tag: [style, ...]}}}}``.

    A tag's empty list or null means every style. Tags under ``"held_out"`` are not part of what the base knows.
    """
    try:
        held_out = set(document.get("held_out_tags", ()))
        groups = {
            name: WorldGroup(
                name,
                {tag: frozenset(styles) or None for tag, styles in entry["tags"].items() if tag not in held_out},
                optional=bool(entry.get("optional", False)),
            )
            for name, entry in document["groups"].items()
        }
    except (KeyError, AttributeError, TypeError) as fault:
        raise ExamError(f"the base's world.json is not in the known form ({fault!r}).") from fault
    groups = {name: group for name, group in groups.items() if group.tags}
    return World(groups, tuple(document.get("always", ())), "style" if "style" in groups else None)
