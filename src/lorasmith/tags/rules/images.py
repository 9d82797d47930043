"""T13: what somebody who looked at an image put right."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from lorasmith.dataset.folders import composed
from lorasmith.tags.rows import Mask, TagRows, Tags
from lorasmith.tags.rules.rule import (
    CaptionRule,
    RuleResult,
    Ruling,
    Scene,
    View,
    Views,
    Work,
    append,
    image_by_image,
    matcher,
)
from lorasmith.tags.settings import ImageTags


def prepare(scene: Scene) -> Work | None:
    """Take away and add what [tags.images] says of the image."""
    corrections = scene.settings.images
    if not corrections:
        return None
    entries_of = _finder(corrections)

    def work(tags: Tags, view: View) -> RuleResult | None:
        entries = entries_of(view.name)
        return _correct(tags, entries) if entries else None

    def touched(rows: TagRows, views: Views) -> Mask:
        del rows
        return np.array([bool(entries_of(name)) for name in views.names], bool)

    return image_by_image(work, touched)


def _finder(corrections: Mapping[str, ImageTags]) -> Callable[[str], list[ImageTags]]:
    """From an image's name to what is said of it, in the order in which it is said. Names without a sign of a pattern,
    which a page may write by the thousand, are looked up."""
    wild = [(number, _form(form)) for number, form in enumerate(corrections) if not _SIGNS.isdisjoint(form)]
    plain: dict[str, list[int]] = {}
    for number, form in enumerate(corrections):
        if _SIGNS.isdisjoint(form):
            plain.setdefault(composed(form), []).append(number)
    entries = list(corrections.values())

    def find(image: str) -> list[ImageTags]:
        name = composed(image)
        ends = [name, *(name[place + 1 :] for place, letter in enumerate(name) if letter == "/")] if plain else ()
        found = [number for end in ends for number in plain.get(end, ())]
        found += [number for number, form in wild if form.fullmatch(name)]
        return [entries[number] for number in sorted(found)]

    return find


_SIGNS = frozenset("*?[")


def is_named(image: str, pattern: str) -> bool:
    """Whether a pattern of [tags.images] (`*`, `?` and `[...]` as in a shell) means the image: by its name, or the end
    of it."""
    return _form(pattern).fullmatch(composed(image)) is not None


@lru_cache(maxsize=1024)
def _form(pattern: str) -> re.Pattern[str]:
    pattern = composed(pattern)
    return re.compile(f"(?:.*/)?(?:{re.escape(pattern)}|{fnmatch.translate(pattern)})", re.DOTALL)


def _correct(tags: Tags, entries: list[ImageTags]) -> RuleResult | None:
    unwanted = matcher(tuple(tag for entry in entries for tag in entry.remove))
    dropped = tuple(Ruling(tag, "dropped") for tag in tags if unwanted(tag))
    rest = tuple(tag for tag in tags if not unwanted(tag))
    added = append(rest, tuple(dict.fromkeys(tag for entry in entries for tag in entry.add)))
    if added:
        return RuleResult(added.tags, lambda: (*dropped, *added.rulings))
    return RuleResult(rest, lambda: dropped) if dropped else None


RULE = CaptionRule("images", "T13", "set for this image under [tags.images]", prepare)
