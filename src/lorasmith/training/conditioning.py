"""From captions to what the denoiser is told."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.bases.text.context import Context
from lorasmith.prompts.attention import parse_attention

CHUNK = 75
_MEMORY_LIMIT = 1 << 28
_TEXTS_LIMIT = 4096


class Conditioner:
    """Token ids of captions, and the frozen text encoder's outputs, kept while memory lasts.

    `max_tokens`: 75, or 150 or 225, which are read in chunks of 75, each between BOS and EOS, and joined again with
    the first BOS and the last EOS (T = `max_tokens` + 2), as kohya's trainer does it. `weighted`: ``(tag:1.2)``
    multiplies its tokens' outputs; the whole is then scaled to the mean it had.
    """

    def __init__(self, base: Base, clip_skip: int, *, max_tokens: int = CHUNK, weighted: bool = False) -> None:
        self._base = base
        self._clip_skip = clip_skip
        self._max_tokens = max_tokens
        self._weighted = weighted
        self._ids: dict[str, tuple[Tensor, Tensor]] = {}
        self._contexts: OrderedDict[str, Context] = OrderedDict()
        self._asked: set[str] = set()
        self._bytes = 0

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Ids (B, T) long, padded and cut as the base's tokenizer does."""
        return torch.stack([ids for ids, _ in self._read(texts)])

    def is_cut(self, text: str) -> bool:
        """Whether the text is longer than what is read of it."""
        if self._weighted:
            text = "".join(span.text for span in parse_attention(text))
        return len(self._base.text_encoders[0].tokenizer(text).input_ids) > self._max_tokens + 2

    def encode(self, texts: Sequence[str]) -> Context:
        """Contexts (B, T, D) through the text encoder as it now is, differentiable."""
        ids = self.tokens(texts)
        context = self._encode_chunks(ids) if self._max_tokens > CHUNK else self._encode(ids)
        if not self._weighted:
            return context
        weights = torch.stack([each for _, each in self._read(texts)]).to(context.hidden.device, context.hidden.dtype)
        weighed = context.hidden * weights.unsqueeze(-1)
        hidden = weighed * _mean_ratio(context.hidden, weighed).to(weighed.dtype)
        return Context({**context.tensors, "hidden": hidden})

    def _encode(self, ids: Tensor) -> Context:
        return self._base.encode_tokens(ids, self._clip_skip)

    def _encode_chunks(self, ids_BT: Tensor) -> Context:
        inner = ids_BT[:, 1:-1].reshape(len(ids_BT), -1, CHUNK).clone()
        B, count, _ = inner.shape
        bos, eos = self._ends
        pad = self._base.text_encoders[0].tokenizer.pad_token_id
        # A chunk of padding alone begins with EOS; one that has ended goes on as the padding does.
        inner[:, :, 0][inner[:, :, 0] == pad] = eos
        begin = ids_BT.new_full((B, count, 1), bos)
        last = inner[:, :, -1:]
        end = torch.where((last == eos) | (last == pad), pad, eos)
        context = self._encode(torch.cat([begin, inner, end], dim=2).flatten(0, 1))
        hidden = context.hidden.reshape(B, count, *context.hidden.shape[1:])
        joined = torch.cat([hidden[:, 0, :1], hidden[:, :, 1:-1].flatten(1, 2), hidden[:, -1, -1:]], dim=1)
        return Context({**context[::count].tensors, "hidden": joined})

    @property
    def _ends(self) -> tuple[int, int]:
        tokenizer = self._base.text_encoders[0].tokenizer
        return tokenizer.bos_token_id, tokenizer.eos_token_id

    def _read(self, texts: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        """Ids (T,) and weights (T,) of each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._ids]
        if new:
            if len(self._ids) + len(new) > _TEXTS_LIMIT:
                self._ids.clear()
                new = list(dict.fromkeys(texts))
            made = [self._weigh(text) for text in new] if self._weighted else self._tokenize(new)
            self._ids.update(zip(new, made, strict=True))
        return [self._ids[text] for text in texts]

    def _tokenize(self, texts: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        length = self._max_tokens + 2
        tokenizer = self._base.text_encoders[0].tokenizer
        ids = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
        return [(row, torch.ones(length)) for row in ids]

    def _weigh(self, text: str) -> tuple[Tensor, Tensor]:
        tokenizer = self._base.text_encoders[0].tokenizer
        begin, end = self._ends
        ids, weights = [begin], [1.0]
        for span in parse_attention(text):
            piece = tokenizer(span.text, add_special_tokens=False).input_ids
            ids += piece
            weights += [1.0 if span.is_break else span.weight] * len(piece)
        ids, weights = ids[: self._max_tokens + 1], weights[: self._max_tokens + 1]
        missing = self._max_tokens + 2 - len(ids)
        ids += [end] + [tokenizer.pad_token_id] * (missing - 1)
        return torch.tensor(ids), torch.tensor(weights + [1.0] * missing)

    @torch.no_grad()
    def recall(self, texts: Sequence[str], prepare: Callable[[], None]) -> Context:
        """Contexts (B, T, D) of the frozen text encoder, remembered by text from the second time on: shuffled captions
        hardly ever come again, and would only fill the memory.

        `prepare` is called before new texts are encoded, to switch adapters off for them.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._contexts]
        fresh: dict[str, Context] = {}
        if new:
            prepare()
            context = self.encode(new)
            fresh = {text: context[number : number + 1].clone() for number, text in enumerate(new)}
        rows = [fresh.get(text) or self._contexts[text] for text in texts]
        for text, row in fresh.items():
            self._keep(text, row)
        return Context.join(rows)

    def _keep(self, text: str, context: Context) -> None:
        if text not in self._asked:
            if len(self._asked) >= _TEXTS_LIMIT:
                self._asked.clear()
            self._asked.add(text)
            return
        self._contexts[text] = context
        self._bytes += context.nbytes
        while self._bytes > _MEMORY_LIMIT:
            _, old = self._contexts.popitem(last=False)
            self._bytes -= old.nbytes


def _mean_ratio(one: Tensor, other: Tensor) -> Tensor:
    """The ratio of the means (B, 1, 1) over (T, D); 1 where the other's is 0 but for rounding."""
    before, after = (hidden.float().mean(dim=(1, 2), keepdim=True) for hidden in (one, other))
    size = other.float().abs().mean(dim=(1, 2), keepdim=True)
    return torch.where(after.abs() > 1e-4 * size, before / after, 1.0)
