"""Text as the encoders take it: chunks of 75 tokens between BOS and EOS, with a weight for each token.

As the A1111 web UI cuts them: a full chunk goes back to its last comma when that is near; BREAK ends a chunk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lorasmith.prompts.attention import Span

CHUNK_TOKENS = 75
COMMA_BACKTRACK = 20


@dataclass(frozen=True)
class Chunk:
    """77 token ids with BOS, EOS and padding, and the weight of each (1 for the special ones)."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


def cut_chunks(spans: Iterable[Span], tokenizer: Any) -> tuple[Chunk, ...]:
    """The chunks of a text with emphasis; an empty text is one empty chunk."""
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    chunks: list[Chunk] = []
    ids: list[int] = []
    weights: list[float] = []
    last_comma: int | None = None
    for span in spans:
        if span.is_break:
            chunks.append(_close(ids, weights, tokenizer))
            ids, weights, last_comma = [], [], None
            continue
        for token in _token_ids(span.text, tokenizer):
            if len(ids) == CHUNK_TOKENS and token != comma and last_comma is not None:
                kept = last_comma + 1 if CHUNK_TOKENS - last_comma <= COMMA_BACKTRACK else CHUNK_TOKENS
                chunks.append(_close(ids[:kept], weights[:kept], tokenizer))
                ids, weights, last_comma = ids[kept:], weights[kept:], None
            elif len(ids) == CHUNK_TOKENS:
                chunks.append(_close(ids, weights, tokenizer))
                ids, weights, last_comma = [], [], None
            if token == comma:
                last_comma = len(ids)
            ids.append(token)
            weights.append(span.weight)
    if ids or not chunks:
        chunks.append(_close(ids, weights, tokenizer))
    return tuple(chunks)


def _token_ids(text: str, tokenizer: Any) -> list[int]:
    # verbose=False: no warning about texts longer than one chunk.
    return list(tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"])


def _close(ids: list[int], weights: list[float], tokenizer: Any) -> Chunk:
    padding = CHUNK_TOKENS - len(ids)
    return Chunk(
        (tokenizer.bos_token_id, *ids, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * padding),
        (1.0, *weights, 1.0, *[1.0] * padding),
    )
