"""What becomes of a caption at a visit: dropout and shuffling.

All of it is a function of a key (seed, epoch, item, visit). The order of steps is kohya's (dropout, then shuffle).
"""

from __future__ import annotations

import random

from lorasmith.diffusion.noise import key_number
from lorasmith.tags.words import join_tags, split_tags


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
