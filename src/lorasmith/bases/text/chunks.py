"""Texts as CLIP's encoders take them: chunks of 75 tokens between BOS and EOS, with a weight for each token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lorasmith.bases.text.options import CHUNK_TOKENS
from lorasmith.prompts.attention import Span

COMMA_BACKTRACK = 20


@dataclass(frozen=True)
class Chunk:
    """The ids of one piece that an encoder reads at once, and the weight of each; of CLIP 77 with BOS, EOS and
    padding (weight 1 for these)."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


Tokens = tuple[Chunk, ...]


def cut_chunks(spans: Iterable[Span], tokenizer: Any) -> Tokens:
    """The chunks of a text with emphasis, as the A1111 web UI cuts them: a full chunk goes back to its last comma when
    that is near; BREAK ends a chunk. An empty text is one empty chunk."""
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
        for token in token_ids(span.text, tokenizer):
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


def cut_joined(ids: Sequence[int], weights: Sequence[float], tokenizer: Any) -> Tokens:
    """The chunks of ids that have one BOS and one EOS around a multiple of 75, as kohya's trainer cuts them."""
    eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    chunks = []
    for start in range(1, len(ids) - 1, CHUNK_TOKENS):
        inner = list(ids[start : start + CHUNK_TOKENS])
        # A chunk of padding alone begins with EOS; one that has ended goes on as the padding does.
        inner[0] = eos if inner[0] == pad else inner[0]
        end = pad if inner[-1] in (eos, pad) else eos
        around = (1.0, *weights[start : start + CHUNK_TOKENS], 1.0)
        chunks.append(Chunk((tokenizer.bos_token_id, *inner, end), around))
    return tuple(chunks)


def token_ids(text: str, tokenizer: Any) -> list[int]:
    """The ids of a text without marks, however many."""
    # verbose=False: no warning about texts longer than one chunk.
    return list(tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"])


def _close(ids: list[int], weights: list[float], tokenizer: Any) -> Chunk:
    padding = CHUNK_TOKENS - len(ids)
    return Chunk(
        (tokenizer.bos_token_id, *ids, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * padding),
        (1.0, *weights, 1.0, *[1.0] * padding),
    )
