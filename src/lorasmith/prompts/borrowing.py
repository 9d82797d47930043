"""What the bare base adds for some words: ``zbk, smile, <base:sunglasses> <lora:zbk:0.8>``.

An adapter that never saw something beside its subject may swallow it. The words stand in the prompt as any others, and
besides, what the base without adapters makes of the prompt with them, less what it makes of it without them, is added
(a direction of the score, as composable diffusion adds them: Liu et al. 2022). ``<base:WORDS:1.5>`` adds 1.5 times it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from lorasmith.errors import PromptError

KIND = "base"
MOST_WEIGHT = 10.0
MOST_TAGS = 31
"""Of one text: each is two parts of the 64 that are drawn at most, and makes a text of its own."""
_TAG = re.compile(rf"<{KIND}:([^>]+)>")


@dataclass(frozen=True)
class Borrowed:
    """Words of a text that the base helps with; `without` is the text that lacks them."""

    without: str
    weight: float


def borrow(text: str) -> tuple[str, tuple[Borrowed, ...]]:
    """The text with the words in place of their tags, and what is borrowed. Raises PromptError for a tag without words,
    with a weight that is none, and for too many."""
    # NOTE: a "<" that no ">" follows would make the pattern scan to the end again and again: stop at the last ">".
    tags = list(_TAG.finditer(text, 0, text.rfind(">") + 1))
    if not tags:
        return text, ()
    if len(tags) > MOST_TAGS:
        raise PromptError(f"{len(tags)} tags <{KIND}:...> in one text, the most are {MOST_TAGS}.", where="prompt")
    pieces, weights, end = [], [], 0
    for tag in tags:
        words, weight = _read(tag)
        pieces += [text[end : tag.start()], words]
        weights.append(weight)
        end = tag.end()
    pieces.append(text[end:])
    borrowed = tuple(
        Borrowed(_join("".join(pieces[: 2 * place + 1]), "".join(pieces[2 * place + 2 :])), weight)
        for place, weight in enumerate(weights)
    )
    return "".join(pieces), borrowed


def _join(before: str, after: str) -> str:
    """Two texts where words between them went, with the comma that was theirs."""
    left, right = before.rstrip(), after.lstrip()
    if left.endswith(","):
        return left[:-1].rstrip() + after
    if right.startswith(","):
        return before + right[1:].lstrip()
    return before + after


def _read(tag: re.Match[str]) -> tuple[str, float]:
    words, colon, last = tag[1].rpartition(":")
    if not colon:
        words, weight = tag[1], 1.0
    else:
        try:
            weight = float(last)
        except ValueError:
            words, weight = tag[1], 1.0
    if not words.strip():
        raise PromptError(f"{tag[0]}: no words.", where="prompt", hint="Write for example <base:sunglasses>.")
    if not math.isfinite(weight) or abs(weight) > MOST_WEIGHT:
        raise PromptError(
            f"{tag[0]}: the weight {last.strip()} is not between -{MOST_WEIGHT:g} and {MOST_WEIGHT:g}.",
            where="prompt",
            hint="Write for example <base:sunglasses:1.5>.",
        )
    return words.strip(), weight
