"""Sub-prompts joined by AND, each with a weight: ``a cat :1.2 AND a dog``.

The picture follows ``uncond + sum of w_i x cfg x (cond_i - uncond)`` (composable diffusion, Liu et al. 2022).
"""

from __future__ import annotations

import math
import re

from lorasmith.errors import PromptError
from lorasmith.prompts.attention import MOST_WEIGHT
from lorasmith.prompts.compatibility import Compat

MOST_SUBPROMPTS = 64
"""Of one prompt that is to be drawn: each costs as much as a prompt of its own."""
_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"\s*([-+]?(?:\d+\.?|\d*\.\d+))")


def check_subprompts(count: int, most: int = MOST_SUBPROMPTS) -> None:
    """Raise PromptError when these are more than are drawn."""
    if count > most:
        raise PromptError(f"{count} parts joined by AND, the most are {most}.", where="prompt")


def split_subprompts(text: str, compat: Compat = None) -> list[tuple[str, float]]:
    """The sub-prompts and their weights; without AND the whole text at 1. White space at a part's end is dropped.

    A trailing ``:3`` is a weight only where an AND exists; ``compat="a1111"`` reads it so everywhere.
    """
    parts = _AND.split(text)
    weighted = len(parts) > 1 or compat == "a1111"
    return [_split_weight(part.rstrip()) if weighted else (part.rstrip(), 1.0) for part in parts]


def _split_weight(part: str) -> tuple[str, float]:
    before, colon, after = part.rpartition(":")
    match = _WEIGHT.fullmatch(after) if colon else None
    weight = float(match.group(1)) if match else math.inf
    if not math.isfinite(weight):
        return part, 1.0
    return before.rstrip(), max(-MOST_WEIGHT, min(MOST_WEIGHT, weight))
