"""T1, T3: the trigger comes first in every caption, in the form that was asked for."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from lorasmith.tags.knowledge import CORE
from lorasmith.tags.rows import TagRows, Tags
from lorasmith.tags.rules.rule import (
    CaptionRule,
    RuleResult,
    Ruling,
    Scene,
    View,
    Views,
    Work,
    put_all_first,
    put_first,
)
from lorasmith.tags.words import join_tags, split_tags, tag_key


def prepare(scene: Scene) -> Work | None:
    """Put the trigger in front: as it is, as its kind's core tag, or in a phrase (T3). A caption that opens with a
    phrase around it (`photo of NAME`) is left."""
    trigger, front = scene.trigger, opening(scene)
    if not front:
        return None
    plain = frozenset(map(tag_key, trigger)) - frozenset(map(tag_key, front))
    word = word_of(trigger[0]) if len(trigger) == 1 and front == trigger else None
    own = frozenset(map(tag_key, trigger))

    def opens(tag: str) -> bool:
        """Whether a phrase around the trigger."""
        return word is not None and tag_key(tag) not in own and word.search(tag.casefold()) is not None

    def work(tags: Tags, view: View) -> RuleResult | None:
        del view
        if tags and opens(tags[0]):
            return None
        if not plain:
            return put_first(tags, front)
        bare = tuple(Ruling(tag, "dropped", "it is in front already") for tag in tags if tag_key(tag) in plain)
        if not bare:
            return put_first(tags, front)
        rest = tuple(tag for tag in tags if tag_key(tag) not in plain)
        outcome = put_first(rest, front) or RuleResult(rest, tuple)
        return RuleResult(outcome.tags, lambda: (*bare, *outcome.rulings))

    def all_rows(rows: TagRows, views: Views) -> TagRows:
        del views
        first = np.zeros(len(rows.tags), bool)
        first[rows.ends[:-1][rows.counts > 0]] = True
        return put_all_first(rows, front, ~rows.with_any(rows.find(opens) & first), plain)

    return Work(work, all_rows)


def opening(scene: Scene) -> Tags:
    """The tags that every caption of the scene starts with."""
    trigger, settings = scene.trigger, scene.settings
    if not trigger:
        return ()
    core = CORE[scene.subject] if settings.core.casefold() == "auto" else settings.core
    phrase = settings.prefix or core
    return split_tags(phrase.replace("NAME", join_tags(trigger))) if phrase else trigger


@lru_cache(maxsize=256)
def word_of(trigger: str) -> re.Pattern[str]:
    """The trigger as a whole word of a phrase; `blonde_NAME_hair` (T6) is one word and does not contain it."""
    return re.compile(r"(?<!\w)" + "[ _]".join(map(re.escape, tag_key(trigger).split())) + r"(?!\w)")


RULE = CaptionRule("trigger", "T1", "the trigger comes first in every caption", prepare)
