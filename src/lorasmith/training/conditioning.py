"""From captions to what the denoiser is told."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lorasmith.bases.base import Base, TextContext

TOKENS = 77
_MEMORY_LIMIT = 1 << 28
_TEXTS_LIMIT = 65_536


class Conditioner:
    """Token ids of captions, and the frozen text encoder's outputs, each computed once while memory lasts."""

    def __init__(self, base: Base, clip_skip: int) -> None:
        self._base = base
        self._clip_skip = clip_skip
        self._ids: dict[str, Tensor] = {}
        self._contexts: OrderedDict[str, TextContext] = OrderedDict()
        self._bytes = 0

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Ids (B, 77) long, padded and cut as the base's tokenizer does."""
        new = [text for text in dict.fromkeys(texts) if text not in self._ids]
        if new:
            if len(self._ids) + len(new) > _TEXTS_LIMIT:
                self._ids.clear()
                new = list(dict.fromkeys(texts))
            tokenizer = self._base.text_encoders[0].tokenizer
            ids = tokenizer(new, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt")
            self._ids.update(zip(new, ids.input_ids, strict=True))
        return torch.stack([self._ids[text] for text in texts])

    def is_cut(self, text: str) -> bool:
        """Whether the text is longer than the base reads."""
        return len(self._base.text_encoders[0].tokenizer(text).input_ids) > TOKENS

    def encode(self, texts: Sequence[str]) -> TextContext:
        """Contexts (B, 77, D) through the text encoder as it now is, differentiable."""
        return self._base.encode_tokens(self.tokens(texts), self._clip_skip)

    @torch.no_grad()
    def recall(self, texts: Sequence[str], prepare: Callable[[], None]) -> TextContext:
        """Contexts (B, 77, D) of the frozen text encoder, remembered by text.

        `prepare` is called before new texts are encoded, to switch adapters off for them.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._contexts]
        fresh: dict[str, TextContext] = {}
        if new:
            prepare()
            context = self.encode(new)
            for number, text in enumerate(new):
                pooled = None if context.pooled is None else context.pooled[number].clone()
                fresh[text] = TextContext(context.hidden[number].clone(), pooled)
        rows = [fresh.get(text) or self._contexts[text] for text in texts]
        for text, row in fresh.items():
            self._keep(text, row)
        pooled_rows = [row.pooled for row in rows if row.pooled is not None]
        return TextContext(torch.stack([row.hidden for row in rows]), torch.stack(pooled_rows) if pooled_rows else None)

    def _keep(self, text: str, context: TextContext) -> None:
        self._contexts[text] = context
        self._bytes += _size(context)
        while self._bytes > _MEMORY_LIMIT:
            _, old = self._contexts.popitem(last=False)
            self._bytes -= _size(old)


def _size(context: TextContext) -> int:
    return context.hidden.nbytes + (0 if context.pooled is None else context.pooled.nbytes)
