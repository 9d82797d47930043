"""What the bare base adds for some words: ``zbk, smile, <base:sunglasses> <lora:zbk:0.8>``.

An adapter that never saw something beside its subject may swallow it. The words stand in the prompt as any others, and
besides, what the base without adapters makes of the prompt with them, less what it makes of it without them, is added
(a direction of the score, as composable diffusion adds them: Liu et al. 2022). ``<base:WORDS:1.5>`` adds 1.5 times it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lorasmith.errors import PromptError

KIND = "base"
MOST_WEIGHT = 10.0
_TAG = re.compile(rf"<{KIND}:([^>]+)>")


@dataclass(frozen=True)
class Borrowed:
    """Words of a text that the base helps with; `without` is the text that lacks them."""

    without: str
    weight: float


def borrow(text: str) -> tuple[str, tuple[Borrowed, ...]]:
    """The text with the words in place of their tags, and what is borrowed. Raises PromptError for a tag without words,
    or with a weight that is none."""
    # NOTE: a "<" that no ">" follows would make the pattern scan to the end again and again: stop at the last ">".
    tags = list(_TAG.finditer(text, 0, text.rfind(">") + 1))
    if not tags:
        return text, ()
    read = [_read(tag) for tag in tags]
    ends = [0, *(tag.end() for tag in tags)]
    pieces = [text[end:start] for end, start in zip(ends, [*(tag.start() for tag in tags), len(text)], strict=True)]
    words = [said for said, _ in read]
    borrowed = tuple(
        Borrowed(
            _join(_woven(pieces[: place + 1], words[:place]), _woven(pieces[place + 1 :], words[place + 1 :])), weight
        )
        for place, (_, weight) in enumerate(read)
    )
    return _woven(pieces, words), borrowed


def _woven(pieces: Sequence[str], words: Sequence[str]) -> str:
    """Pieces of text with words between them."""
    return "".join(piece + said for piece, said in zip(pieces, [*words, ""], strict=True))


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
