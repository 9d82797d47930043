"""What becomes of a caption at a visit: dropout, what stays in place, shuffling, dropped tags.

All of it is a function of a key (seed, epoch, item, visit). The order of steps is kohya's: caption dropout, then
shuffling, then tag dropout. Where it differs: what stays in place does so whether or not anything is shuffled, and
the separator never reaches the text encoder.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from lorasmith.diffusion.noise import key_number
from lorasmith.tags.words import join_tags, split_tags


def vary_caption(
    caption: str,
    *key: int | str,
    shuffle: bool = False,
    keep_tokens: int = 0,
    keep_separator: str = "",
    dropout: float = 0.0,
    tag_dropout: float = 0.0,
) -> str:
    """The caption as one visit sees it: empty with probability `dropout`, else with its free tags varied.

    Free are all tags but the first `keep_tokens`, or what stands between the first `keep_separator` and the second.
    They are shuffled, and each is left out with probability `tag_dropout`.
    """
    chance = random.Random(key_number(*key, "caption"))
    if dropout and chance.random() < dropout:
        return ""
    separated = bool(keep_separator) and keep_separator in caption
    if not (shuffle or tag_dropout or separated):
        return caption
    first, free, last = _split(caption, keep_tokens, keep_separator if separated else "")
    if shuffle:
        chance.shuffle(free)
    if tag_dropout:
        free = [tag for tag in free if chance.random() >= tag_dropout]
    return join_tags([*first, *free, *last])


def _split(caption: str, keep_tokens: int, separator: str) -> tuple[Sequence[str], list[str], Sequence[str]]:
    if not separator:
        tags = list(split_tags(caption))
        return tags[:keep_tokens], tags[keep_tokens:], ()
    parts = caption.split(separator, 2)
    return split_tags(parts[0]), list(split_tags(parts[1])), split_tags(parts[2]) if len(parts) > 2 else ()
