"""Preservation: rows that keep the base as it was where the trigger is absent (C6).

Differential: for some rows of a batch, the same noisy latent with a caption that lacks the trigger shall give what
the frozen base gives for it (the idea is ostris' "differential output preservation"). Prior: the same for pictures
that the base drew itself. The target is the base's own output, not the noise: it has no variance of its own, so
a few rows suffice. Some of these rows have an empty caption, for guidance multiplies what changes there (ostris' "blank
prompt preservation"). Cost: per preserved row one more row in the step and a forward pass of the base.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from lorasmith.bases.framing import Framing
from lorasmith.diffusion.noise import key_number
from lorasmith.recipe.buckets import Size


@dataclass(frozen=True)
class PriorPictures:
    """Latents (n, C, H, W) of pictures that the base drew, and their prompts, per bucket.

    `framings` of pictures that were not made at the bucket's size. `class_images`: how many it has of each folder,
    where they are the user's own.
    """

    latents: Mapping[Size, Tensor]
    prompts: Mapping[Size, tuple[str, ...]]
    framings: Mapping[Size, tuple[Framing, ...]] = field(default_factory=dict)
    class_images: Mapping[str, int] = field(default_factory=dict)


def count_preserved(share: float, rows: int) -> int:
    """How many rows to add to a batch of `rows`: the share, rounded up."""
    return math.ceil(share * rows)


def choose_plain_caption(caption: str, pool: Sequence[str], *key: int | str) -> str:
    """The plain caption of a preserved row: the item's own without the trigger, or as often one of the pool's."""
    chance = random.Random(key_number(*key, "plain"))
    if pool and (not caption or chance.random() < 0.5):
        return chance.choice(pool)
    return caption


def leave_blank(share: float, *key: int | str) -> bool:
    """Whether a preserved row has the empty caption instead; of all rows `share` have it."""
    return random.Random(key_number(*key, "blank")).random() < share
