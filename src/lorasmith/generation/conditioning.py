"""What the denoiser is told at each step. Shapes: N chunks, T tokens, D width.

A text is encoded by itself, so that it means the same to the bit whoever else is drawn; emphasis multiplies the
encoded vectors. Texts that were encoded lately are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.bases.text.context import Context
from lorasmith.generation.chunks import Chunk, cut_chunks
from lorasmith.generation.ensembles import Ensemble, Member
from lorasmith.generation.request import Emphasis
from lorasmith.prompts.attention import Span, parse_attention
from lorasmith.prompts.compatibility import Compat

ENCODED_AT_ONCE = 32
TEXTS_KEPT = 256


@dataclass(frozen=True)
class Text:
    """A text to encode: its chunks, and the adapters that act in the text encoders, with their strengths."""

    chunks: tuple[Chunk, ...]
    te: tuple[tuple[Member, float], ...]
    clip_skip: int
    emphasis: Emphasis


def read_text(
    text: str,
    base: Base,
    emphasis: Emphasis,
    compat: Compat = None,
    clip_skip: int = 1,
    te: tuple[tuple[Member, float], ...] = (),
) -> Text:
    """Emphasis read and tokens counted; with emphasis "none" brackets are plain text."""
    spans = [Span(text)] if emphasis == "none" else parse_attention(text, compat)
    return Text(cut_chunks(spans, base.text_encoders[0].tokenizer), te, clip_skip, emphasis)


class TextReader:
    """Encodes texts on one base and keeps the last ones."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self._kept: OrderedDict[Text, Context] = OrderedDict()

    def encode(self, text: Text, ensemble: Ensemble) -> Context:
        """The text's vectors (1, 77 x chunks, D), and for SDXL the first chunk's pooled ones."""
        if text not in self._kept:
            self._kept[text] = encode_text(self.base, ensemble, text)
        self._kept.move_to_end(text)
        while len(self._kept) > TEXTS_KEPT:
            self._kept.popitem(last=False)
        return self._kept[text]


@torch.inference_mode()
def encode_text(base: Base, ensemble: Ensemble, text: Text) -> Context:
    """One text, through the text encoders with its adapters; each distinct chunk once."""
    distinct = list(dict.fromkeys(chunk.ids for chunk in text.chunks))
    hidden: list[Tensor] = []
    pooled: list[Tensor] = []
    for start in range(0, len(distinct), ENCODED_AT_ONCE):
        part = distinct[start : start + ENCODED_AT_ONCE]
        with ensemble.encoding([dict(text.te)] * len(part)):
            context = base.encode_tokens(torch.tensor(part), text.clip_skip)
        hidden += torch.split(context.hidden, 1)
        pooled += [] if context.pooled is None else torch.split(context.pooled, 1)
    places = [distinct.index(chunk.ids) for chunk in text.chunks]
    weighed = [
        weigh_tokens(hidden[place], chunk.weights, text.emphasis)
        for place, chunk in zip(places, text.chunks, strict=True)
    ]
    return Context({"hidden": torch.cat(weighed, dim=1)} | ({"pooled": pooled[places[0]]} if pooled else {}))


def weigh_tokens(hidden: Tensor, weights: Sequence[float], emphasis: Emphasis) -> Tensor:
    """Vectors (1, T, D) times their token's weight; "original" then restores the mean over the chunk, as A1111."""
    if all(weight == 1.0 for weight in weights):
        return hidden
    weighted = hidden * torch.tensor(weights, dtype=hidden.dtype, device=hidden.device)[None, :, None]
    if emphasis == "original":
        # NOTE: over this chunk only, so that a picture does not depend on its neighbours in the batch.
        weighted = weighted * (hidden.mean() / weighted.mean())
    return weighted
