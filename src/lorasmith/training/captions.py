"""What becomes of a caption at a visit: dropout, shuffling; and the caption without its trigger.

All of it is a function of a key (seed, epoch, item, visit). The order of steps is kohya's (dropout, then shuffle).
"""

from __future__ import annotations

import random
import re

from lorasmith.diffusion.noise import key_number
from lorasmith.tags.words import join_tags, split_tags, tag_key


def vary_caption(
    caption: str, *key: int | str, shuffle: bool = False, keep_tokens: int = 0, dropout: float = 0.0
) -> str:
    """The caption as one visit sees it: empty with probability `dropout`, else shuffled but for `keep_tokens`."""
    chance = random.Random(key_number(*key, "caption"))
    if dropout and chance.random() < dropout:
        return ""
    if not shuffle:
        return caption
    tags = list(split_tags(caption))
    kept, free = tags[:keep_tokens], tags[keep_tokens:]
    chance.shuffle(free)
    return join_tags([*kept, *free])


def without_trigger(caption: str, trigger: str) -> str:
    """The caption as somebody who does not know the trigger would write it (C6).

    Tags equal to a tag of the trigger go; in other tags and sentences the trigger's words are cut out.
    """
    keys = {tag_key(tag) for tag in split_tags(trigger)}
    if not keys:
        return caption
    words = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, sorted(keys, key=len, reverse=True))) + r")(?!\w)", re.I)
    rest = [" ".join(words.sub(" ", tag).split()) for tag in split_tags(caption) if tag_key(tag) not in keys]
    return join_tags(tag for tag in rest if tag)
