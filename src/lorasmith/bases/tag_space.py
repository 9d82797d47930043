"""The base's own world: which tags it was trained on, group by group, and what can be seen together.

Only a base that knows its world (the embedded one) has one. From it come valid prompts that have nothing to do with
the subject, and values that the subject was never trained with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lorasmith.errors import BaseError
from lorasmith.tags.words import join_tags

#: How often a random prompt names a value of an optional group.
OPTIONAL_SHARE = 0.35
#: The word that follows a colour in a tag of each group of colours.
NOUNS = {"background": "background", "hair colour": "hair", "clothing": "shirt", "skin": "skin"}

#: The order of the groups in the embedded base's captions.
ORDER = ("style", "shot", "hair", "hair colour", "skin", "eyes", "mouth", "accessory", "clothing", "background")


@dataclass(frozen=True)
class TagGroup:
    """One group: tag -> the styles in which it can be drawn (None: in all)."""

    name: str
    tags: Mapping[str, frozenset[str] | None]
    optional: bool

    def within(self, style: str | None) -> tuple[str, ...]:
        """The tags that can be drawn in `style`; all of them when the style is not known."""
        return tuple(tag for tag, styles in self.tags.items() if style is None or styles is None or style in styles)


@dataclass(frozen=True)
class Hiding:
    """Where `tag` is seen, `groups` cannot be; only together with one of `with_any` (empty: always), and not when
    one of `unless` is there: a close-up hides the hair, unless there is none."""

    tag: str
    groups: frozenset[str]
    with_any: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()

    def holds(self, tags: set[str]) -> bool:
        return self.tag in tags and not self.unless & tags and (not self.with_any or bool(self.with_any & tags))


@dataclass(frozen=True)
class TagSpace:
    """The groups in prompt order; `always` are the tags that stand in every prompt."""

    groups: Mapping[str, TagGroup]
    always: tuple[str, ...] = ()
    style_group: str = "style"
    hidings: tuple[Hiding, ...] = ()

    def styles(self) -> tuple[str, ...]:
        group = self.groups.get(self.style_group)
        return tuple(group.tags) if group else ()

    def within(self, group: str, style: str | None) -> tuple[str, ...]:
        """The group's tags in `style`; all of them when the base does not know the style."""
        return self.groups[group].within(style if style in self.styles() else None)

    def hidden(self, drawn: Mapping[str, str | None]) -> frozenset[str]:
        """The groups that cannot be seen in a picture of `drawn`: covered, cut off, or not part of its style."""
        tags = {tag for tag in drawn.values() if tag is not None}
        style = drawn.get(self.style_group)
        covered = {name for hiding in self.hidings if hiding.holds(tags) for name in hiding.groups}
        return frozenset(covered | {name for name in self.groups if not self.within(name, style)})

    def draw(self, random: np.random.Generator) -> dict[str, str]:
        """A random valid assignment of what is seen: a style, one value a group, optional ones now and then."""
        drawn: dict[str, str] = {}
        styles = self.styles()
        style = _pick(styles, random) if styles else None
        if style is not None:
            drawn[self.style_group] = style
        for group in self.groups.values():
            values = group.within(style)
            if group.name == self.style_group or not values:
                continue
            if not (group.optional and random.random() >= OPTIONAL_SHARE):
                drawn[group.name] = _pick(values, random)
        return self.visible(drawn)

    def visible(self, drawn: Mapping[str, str]) -> dict[str, str]:
        """`drawn` without what cannot be seen: captions of this world name visible things only."""
        hidden = self.hidden(drawn)
        return {group: tag for group, tag in drawn.items() if group not in hidden}

    def prompt(self, drawn: Mapping[str, str]) -> tuple[str, ...]:
        """The tags of an assignment in the world's own order: style, what is always said, the rest."""
        style = drawn.get(self.style_group)
        first = () if style is None else (style,)
        rest = (drawn[name] for name in self.groups if name in drawn and name != self.style_group)
        return (*first, *self.always, *rest)


def random_prompts(world: TagSpace, count: int, seed: int) -> tuple[str, ...]:
    """`count` random valid prompts of the world, a function of `seed`."""
    random = np.random.default_rng(seed)
    return tuple(join_tags(world.prompt(world.draw(random))) for _ in range(count))


def read_tag_space(document: Mapping[str, Any]) -> TagSpace:
    """The embedded base's world.json, without what is held out of its training. Raises BaseError on another form.

    Styles with their parts and colours, palettes, and what hides what; `doodle/README.md` describes the file.
    """
    try:
        return _read(document)
    except (KeyError, AttributeError, TypeError) as fault:
        raise BaseError(f"the base's world.json is not in the known form ({fault!r}).") from fault


def _read(document: Mapping[str, Any]) -> TagSpace:
    styles = [spec for spec in document["styles"].values() if not spec.get("held_out")]
    tags: dict[str, dict[str, set[str] | None]] = {
        "style": {spec["tag"]: None for spec in styles},
        "shot": {"portrait": None, "close-up": None},
    }
    optional: set[str] = set()
    for spec in styles:
        for group, part in spec["parts"].items():
            if "share" in part:
                optional.add(group)
            for value in part["values"]:
                _add(tags, group, value, spec["tag"])
        for group in spec["colours"]:
            for colour in document["palettes"][group]:
                _add(tags, group, f"{colour} {NOUNS[group]}", spec["tag"])
    tags["background"] = {f"{colour} background": None for colour in document["palettes"]["background"]}
    groups = {
        name: TagGroup(name, _frozen(entry), name in optional) for name, entry in sorted(tags.items(), key=_place)
    }
    hidings = [Hiding(tag, frozenset(covered)) for tag, covered in document["hides"].items()]
    hidings += [
        Hiding("close-up", frozenset({"hair"}), unless=frozenset(document["close_up_hair"])),
        Hiding("close-up", frozenset({"hair colour"}), with_any=frozenset(document["close_up_bare"])),
        Hiding("close-up", frozenset({"clothing"})),
    ]
    for entry in document.get("hides_in_style", ()):
        style = frozenset({document["styles"][entry["style"]]["tag"]})
        hidings.append(Hiding(entry["value"], frozenset(entry["groups"]), style, frozenset(entry.get("unless", ()))))
    return TagSpace(groups, tuple(document.get("always", ("1person",))), "style", tuple(hidings))


def _add(tags: dict[str, dict[str, set[str] | None]], group: str, tag: str, style: str) -> None:
    found = tags.setdefault(group, {}).setdefault(tag, set())
    if found is not None:
        found.add(style)


def _place(entry: tuple[str, object]) -> int:
    return ORDER.index(entry[0]) if entry[0] in ORDER else len(ORDER)


def _frozen(entry: dict[str, set[str] | None]) -> dict[str, frozenset[str] | None]:
    return {tag: None if styles is None else frozenset(styles) for tag, styles in entry.items()}


def _pick(values: tuple[str, ...], random: np.random.Generator) -> str:
    return values[int(random.integers(len(values)))]
