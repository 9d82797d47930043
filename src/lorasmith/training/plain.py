"""Plain prompts of the embedded base: random valid captions of its world, in which no trigger stands.

They widen what preservation looks at from the subject's own captions to all that the base knows.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from lorasmith.diffusion.noise import key_number
from lorasmith.tags.words import join_tags

OPTIONAL_SHARE = 0.35
_NOUNS = {"hair colour": "hair", "clothing": "shirt", "skin": "skin"}


def draw_plain_prompts(world: Mapping[str, Any], count: int, seed: int) -> tuple[str, ...]:
    """`count` prompts from a world.json, a function of `seed`; what a tag hides is not named."""
    chance = random.Random(key_number(seed, "plain prompts"))
    styles = [style for style in world["styles"].values() if not style.get("held_out")]
    return tuple(_prompt(world, chance.choice(styles), chance) for _ in range(count))


def _prompt(world: Mapping[str, Any], style: Mapping[str, Any], chance: random.Random) -> str:
    drawn: dict[str, str] = {}
    for group, part in style["parts"].items():
        if "share" not in part or chance.random() < OPTIONAL_SHARE:
            drawn[group] = chance.choice(sorted(part["values"]))
    for group in style["colours"]:
        drawn[group] = f"{chance.choice(sorted(world['palettes'][group]))} {_NOUNS[group]}"
    hidden = {group for tag in drawn.values() for group in world["hides"].get(tag, ())}
    shown = [tag for group, tag in drawn.items() if group not in hidden]
    background = f"{chance.choice(sorted(world['palettes']['background']))} background"
    return join_tags([style["tag"], "1person", "portrait", *shown, background])
