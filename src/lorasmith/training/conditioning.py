"""From captions to what the denoiser is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from lorasmith.bases.base import Base
from lorasmith.bases.text.cache import TEXTS_KEPT, ContextCache
from lorasmith.bases.text.chunks import Tokens
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.options import TextOptions
from lorasmith.events import Progress, Work, eta


class Conditioner:
    """Token ids of captions, and the frozen text encoder's outputs, kept while memory lasts.

    `alone`: texts are encoded one by one, so that each is the same to the bit whenever that is, and whatever beside.
    """

    def __init__(self, base: Base, options: TextOptions, *, alone: bool = False) -> None:
        self._base = base
        self._options = options
        self._tokens: dict[str, Tokens] = {}
        self._contexts: ContextCache[str] = ContextCache(from_second=not alone)
        self._alone = alone
        self._cached: dict[str, Context] = {}
        self.rows_per_text = base.prompt_encoder.rows_per_text(options)

    def is_cut(self, text: str) -> bool:
        """Whether the text is longer than what is read of it."""
        return self._base.prompt_encoder.is_cut(text, self._options)

    def encode(self, texts: Sequence[str]) -> Context:
        """Contexts (B, T, D) through the text encoder as it now is, differentiable."""
        return self._base.prompt_encoder.encode(self._read(texts), self._options)

    @torch.no_grad()
    def recall(self, texts: Sequence[str], prepare: Callable[[], None]) -> Context:
        """Contexts (B, T, D) of the frozen text encoder, remembered by text.

        `prepare` is called before new texts are encoded, to switch adapters off for them.
        """

        if all(text in self._cached for text in texts):
            return Context.join([self._cached[text] for text in texts]).to(self._base.device)

        def encode(new: Sequence[str]) -> Context:
            prepare()
            return self.encode(new)

        if self._alone:
            return Context.join([self._contexts.recall([text], encode) for text in texts])
        return self._contexts.recall(texts, encode)

    @torch.no_grad()
    def cache(self, texts: Sequence[str]) -> Work[None]:
        """Encode all texts, keep them in the host's memory, and send the text encoders away. No adapter may act."""
        new = [text for text in dict.fromkeys(texts) if text not in self._cached]
        began = time.monotonic()
        for done, text in enumerate(new, 1):
            self._cached[text] = self.encode([text]).to(torch.device("cpu"))
            yield Progress("encoding captions", done, len(new), eta(began, done, len(new)))
        self._base.send_text_away()

    def _read(self, texts: Sequence[str]) -> list[Tokens]:
        new = [text for text in dict.fromkeys(texts) if text not in self._tokens]
        if new:
            if len(self._tokens) + len(new) > TEXTS_KEPT:
                self._tokens.clear()
                new = list(dict.fromkeys(texts))
            made = self._base.prompt_encoder.tokenize(new, self._options)
            self._tokens.update(zip(new, made, strict=True))
        return [self._tokens[text] for text in texts]
