"""Misspelt triggers (T1): found by their spelling and by never standing beside the trigger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from lorasmith.tags.knowledge import is_common
from lorasmith.tags.tokens import is_word
from lorasmith.tags.words import edit_distance, tag_key

_LONG = 8
_OFTEN, _OFTEN_SHARE = 3, 0.5
"""A word that stands in so many captions, and in half as many as the trigger, is meant: nobody slips every time."""
_WRITTEN = 1 / 3
"""From this share of images on their author writes the trigger into the captions."""


def find_typos(trigger: str, captions: Sequence[Collection[str]], known: Collection[str] = ()) -> Mapping[str, int]:
    """Keys of the tags that are the trigger misspelt, with the number of captions that have them.

    `captions` are the `tag_key`s of each image. A typo is one letter off (two from eight letters on), is no word that
    a tagger (`known`), CLIP's tokenizer or the captions themselves know well, and never stands in a caption together
    with the trigger: a word that merely looks like it would. Empty unless a third of the captions have the trigger.
    """
    counts = _find_near(trigger, captions, known)
    said = _words_of(captions)
    often = max(_OFTEN, _OFTEN_SHARE * sum(tag_key(trigger) in keys for keys in captions))
    return {key: count for key, count in counts.items() if count < often and key not in said and not is_word(key)}


def find_suspects(trigger: str, captions: Sequence[Collection[str]], known: Collection[str] = ()) -> Mapping[str, int]:
    """Like `find_typos`: what is nearly the trigger, no word of any language model, but said too often to be mended
    by a guess."""
    typos = find_typos(trigger, captions, known)
    near = _find_near(trigger, captions, known)
    return {key: count for key, count in near.items() if key not in typos and not is_word(key)}


def is_near(key: str, trigger: str) -> bool:
    """Whether the key is spelt nearly as the trigger is, but not quite."""
    right = tag_key(trigger)
    most = 2 if len(right) >= _LONG else 1
    return abs(len(key) - len(right)) <= most and key != right and edit_distance(key, right, most) <= most


def _find_near(trigger: str, captions: Sequence[Collection[str]], known: Collection[str]) -> Mapping[str, int]:
    right = tag_key(trigger)
    without = [keys for keys in captions if right not in keys]
    if len(right) < 3 or not without or len(captions) - len(without) < _WRITTEN * len(captions):
        return {}
    near = {
        key
        for key in frozenset[str]().union(*without)
        if is_near(key, trigger) and key not in known and not is_common(key)
    }
    if near:
        near.difference_update(*(keys for keys in captions if right in keys))
    return {key: sum(key in keys for keys in without) for key in sorted(near)}


def _words_of(captions: Sequence[Collection[str]]) -> frozenset[str]:
    """The words inside of longer tags."""
    longer = {key for keys in captions for key in keys if " " in key}
    return frozenset(word for key in longer for word in key.split(" "))
