"""T13: what somebody who looked at an image put right."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache

from lorasmith.dataset.folders import composed
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Ruling, Scene, Tags, View, Work, append, matcher
from lorasmith.tags.settings import ImageTags


def prepare(scene: Scene) -> Work | None:
    """Take away and add what [tags.images] says of the image."""
    corrections = scene.settings.images
    if not corrections:
        return None
    forms = [(_form(pattern), entry) for pattern, entry in corrections.items()]

    def work(tags: Tags, view: View) -> RuleResult | None:
        entries = [entry for form, entry in forms if form.fullmatch(composed(view.name))]
        return _correct(tags, entries) if entries else None

    return work


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
