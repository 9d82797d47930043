"""What the denoiser is told at each step. Shapes: N distinct chunks, T tokens, D width, K adapters.

Each distinct (chunk, text-encoder strengths) is encoded once per batch; emphasis multiplies the encoded vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base, TextContext
from lorasmith.generation.chunks import Chunk, cut_chunks
from lorasmith.generation.request import Emphasis
from lorasmith.prompts.attention import Span, parse_attention
from lorasmith.prompts.compatibility import Compat

ENCODED_AT_ONCE = 32


@dataclass(frozen=True)
class Text:
    """A text to encode: its chunks, and the strength (K,) of each adapter in the text encoders."""

    chunks: tuple[Chunk, ...]
    te: tuple[float, ...]


def read_text(text: str, base: Base, te: tuple[float, ...], emphasis: Emphasis, compat: Compat) -> Text:
    """Emphasis read and tokens counted; with emphasis "none" brackets are plain text."""
    spans = [Span(text)] if emphasis == "none" else parse_attention(text, compat)
    return Text(cut_chunks(spans, base.text_encoders[0].tokenizer), te)


def encode_texts(
    base: Base, bank: AdapterBank | None, texts: Sequence[Text], clip_skip: int, emphasis: Emphasis
) -> list[TextContext]:
    """One context per text: hidden (1, 77 n, D) of its n chunks and the first chunk's pooled vector, if any."""
    rows = list(dict.fromkeys((chunk.ids, text.te) for text in texts for chunk in text.chunks))
    encoded = dict(zip(rows, _encode_rows(base, bank, rows, clip_skip), strict=True))
    contexts = []
    for text in texts:
        parts = [encoded[chunk.ids, text.te] for chunk in text.chunks]
        hidden = [
            weigh_tokens(part.hidden, chunk.weights, emphasis) for part, chunk in zip(parts, text.chunks, strict=True)
        ]
        contexts.append(TextContext(torch.cat(hidden, dim=1), parts[0].pooled))
    return contexts


def _encode_rows(
    base: Base, bank: AdapterBank | None, rows: list[tuple[tuple[int, ...], tuple[float, ...]]], clip_skip: int
) -> Iterator[TextContext]:
    for start in range(0, len(rows), ENCODED_AT_ONCE):
        part = rows[start : start + ENCODED_AT_ONCE]
        patched: AbstractContextManager[None] = nullcontext()
        if bank is not None:
            te = torch.tensor([strengths for _, strengths in part])
            bank.weigh(te, te)
            patched = bank.attached()
        with patched:
            context = base.encode_tokens(torch.tensor([ids for ids, _ in part]), clip_skip)
        for index in range(len(part)):
            one = slice(index, index + 1)
            yield TextContext(context.hidden[one], None if context.pooled is None else context.pooled[one])


def weigh_tokens(hidden: Tensor, weights: Sequence[float], emphasis: Emphasis) -> Tensor:
    """Vectors (1, T, D) times their token's weight; "original" then restores the mean over the chunk, as A1111."""
    if all(weight == 1.0 for weight in weights):
        return hidden
    weighted = hidden * torch.tensor(weights, dtype=hidden.dtype, device=hidden.device)[None, :, None]
    if emphasis == "original":
        # NOTE: over this chunk only, so that a picture does not depend on its neighbours in the batch.
        weighted = weighted * (hidden.mean() / weighted.mean())
    return weighted


def stretch(context: TextContext, length: int) -> TextContext:
    """The context with its last vector repeated up to `length` tokens, as A1111 aligns the parts of an AND."""
    missing = length - context.hidden.shape[1]
    if missing <= 0:
        return context
    last = context.hidden[:, -1:].expand(-1, missing, -1)
    return TextContext(torch.cat([context.hidden, last], dim=1), context.pooled)
