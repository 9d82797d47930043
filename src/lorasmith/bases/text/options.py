"""How a text is read: what training and drawing choose, whatever the family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lorasmith.prompts.compatibility import Compat

Chunking = Literal["a1111", "kohya", "none"]
Emphasis = Literal["original", "no norm", "kohya", "none"]
CHUNK_TOKENS = 75
LENGTHS = (75, 150, 225)
"""Of captions, in tokens: one chunk, two or three of them."""


@dataclass(frozen=True)
class TextOptions:
    """`chunking`: "a1111" has as many chunks of 75 tokens as the text fills, cut at commas and BREAK, each with BOS and
    EOS; "kohya" has the chunks of `max_tokens` (75, 150, 225), joined again with the first BOS and the last EOS
    (T = `max_tokens` + 2), the rest is cut; "none" has the text in one piece, for encoders that read long ones.

    `emphasis`: with "none" brackets are text; else ``(tag:1.2)`` multiplies its tokens' vectors, and "original" brings
    each chunk back to the mean it had, "kohya" the whole text. `clip_skip` counts CLIP's hidden states from the end.
    """

    chunking: Chunking = "kohya"
    max_tokens: int = CHUNK_TOKENS
    emphasis: Emphasis = "none"
    clip_skip: int = 1
    compat: Compat = None


PLAIN_TEXT = TextOptions()
