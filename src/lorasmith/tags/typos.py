"""Misspelt triggers (T1): found by their spelling and by never standing beside the trigger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from lorasmith.tags.words import edit_distance, tag_key

_LONG = 8
_WRITTEN = 1 / 3
"""From this share of images on their author writes the trigger into the captions."""


def find_typos(trigger: str, captions: Sequence[Collection[str]], known: Collection[str] = ()) -> Mapping[str, int]:
    """Keys of the tags that are the trigger misspelt, with the number of captions that have them.

    `captions` are the `tag_key`s of each image. A typo is one letter off (two from eight letters on), is no tag that
    a tagger knows (`known`), and never stands in a caption together with the trigger: a word that merely looks like it
    would. Empty unless a third of the captions have the trigger.
    """
    right = tag_key(trigger)
    most = 2 if len(right) >= _LONG else 1
    without = [keys for keys in captions if right not in keys]
    if len(right) < 3 or not without or len(captions) - len(without) < _WRITTEN * len(captions):
        return {}
    near = {
        key
        for key in frozenset[str]().union(*without)
        if key not in known and abs(len(key) - len(right)) <= most and edit_distance(key, right, most) <= most
    }
    if near:
        near.difference_update(*(keys for keys in captions if right in keys))
    return {key: sum(key in keys for keys in without) for key in sorted(near)}
