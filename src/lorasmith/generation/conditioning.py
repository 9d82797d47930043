"""What the denoiser is told at each step: texts, with the adapters that act in the text encoders while they are read.

A text is encoded by itself, so that it means the same to the bit whoever else is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lorasmith.bases.base import Base
from lorasmith.bases.text.cache import ContextCache
from lorasmith.bases.text.chunks import Tokens
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.embeddings import Embedding, Vocabulary
from lorasmith.bases.text.options import TextOptions
from lorasmith.generation.adapter_sets import AdapterSet, Member

TEXTS_KEPT = 256


@dataclass(frozen=True)
class Text:
    """A text to encode: its tokens, and the adapters that act in the text encoders, with their strengths; `length`:
    how many vectors it becomes."""

    tokens: Tokens
    te: tuple[tuple[Member, float], ...]
    options: TextOptions
    length: int

    @property
    def embeddings(self) -> tuple[Embedding, ...]:
        """Those that the text calls, in its order."""
        return tuple(dict.fromkeys(embedding for chunk in self.tokens for _, embedding in chunk.placed))


def read_text(
    text: str,
    base: Base,
    options: TextOptions,
    te: tuple[tuple[Member, float], ...] = (),
    words: Vocabulary | None = None,
) -> Text:
    """Emphasis read, embeddings found and tokens counted. Raises PromptError for an embedding that cannot be used."""
    (tokens,) = base.prompt_encoder.tokenize([text], options, words)
    return Text(tokens, te, options, base.prompt_encoder.count_vectors(tokens))


class TextReader:
    """Encodes texts on one base and keeps the last ones."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self._kept: ContextCache[Text] = ContextCache(TEXTS_KEPT)

    @torch.inference_mode()
    def encode(self, text: Text, adapter_set: AdapterSet) -> Context:
        """The text's vectors (1, T, D) through the text encoders with its adapters."""

        def encode(new: Sequence[Text]) -> Context:
            with adapter_set.encoding(dict(text.te)):
                return self.base.prompt_encoder.encode([each.tokens for each in new], text.options)

        return self._kept.recall([text], encode)
