"""A language model's reading of a text, put into the words of a second tokenizer by a conditioner: Anima's way.

Shapes: B rows, S tokens of the language model, T tokens of the conditioner, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lorasmith.bases.text.chunks import Chunk, Tokens, token_ids
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.embeddings import Vocabulary, refuse_called
from lorasmith.bases.text.emphasis import read_spans
from lorasmith.bases.text.encoder import TextEncoder
from lorasmith.bases.text.long import WholeTexts, pad_ids
from lorasmith.bases.text.options import TextOptions
from lorasmith.diffusion.transfer import send

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LIMIT = 4096
"""Tokens that are read of a text; diffusers takes no more, ComfyUI has no limit."""
FLOOR = 512
"""Vectors that there are at least: zeros behind the text's own, which count (ComfyUI, diffusers, kohya)."""


class ConditionedPromptEncoder(WholeTexts):
    """The first encoder's last hidden states (B, S, D), read by the conditioner for each of its own tokens (B, T, D).

    Weights multiply the conditioner's vectors, each by the weight of its token; the language model reads the text
    without them. So ComfyUI does it (`comfy/text_encoders/anima.py`, `comfy/ldm/anima/model.py`
    `preprocess_text_embeds`), piece by piece of one weight. Chunks, BREAK and clip skip have no meaning here.
    """

    def __init__(self, reader: TextEncoder, conditioner: TextEncoder) -> None:
        self._reader, self._conditioner = reader, conditioner
        self.room = LIMIT - 1

    def tokenize(self, texts: Sequence[str], options: TextOptions, words: Vocabulary | None = None) -> list[Tokens]:
        """Each text as two chunks: the language model's ids, and the conditioner's with their weights."""
        refuse_called(texts, words)
        return [self._read(text, options, LIMIT) for text in texts]

    def _read(self, text: str, options: TextOptions, limit: int) -> Tokens:
        read: list[int] = []
        ids: list[int] = []
        weights: list[float] = []
        for span in read_spans(text, options.emphasis, options.compat):
            if span.is_break:
                continue
            read += token_ids(span.text, self._reader.tokenizer)
            piece = token_ids(span.text, self._conditioner.tokenizer)
            ids += piece
            weights += [span.weight] * len(piece)
        end = self._conditioner.tokenizer.eos_token_id
        ids, weights = [*ids[: limit - 1], end], [*weights[: limit - 1], 1.0]
        # A text without a token is one token that is masked, as diffusers does it.
        return Chunk(tuple(read[:limit]), (1.0,) * min(len(read), limit)), Chunk(tuple(ids), tuple(weights))

    def is_cut(self, text: str, options: TextOptions) -> bool:
        """Whether the text is longer than the limit."""
        # A token is a character at least, and may be a byte.
        if len(text.encode()) < LIMIT:
            return False
        read, conditioned = self._read(text, options, 2**31)
        return len(read.ids) > LIMIT or len(conditioned.ids) > LIMIT

    def count_words(self, tokens: Tokens) -> list[int]:
        """The conditioner's, without the end's."""
        return [len(tokens[1].ids) - 1]

    def count_vectors(self, tokens: Tokens) -> int:
        """One for each of the conditioner's tokens, and 512 at least."""
        return max(FLOOR, len(tokens[1].ids))

    def encode(self, tokens: Sequence[Tokens], options: TextOptions) -> Context:  # noqa: ARG002 - weights are in tokens
        """The conditioner's vectors (B, T, D), zeros up to 512 and beyond a shorter text's own; the mask is false only
        where a text of more than 512 tokens stands beside it."""
        import torch
        from torch.nn import functional

        model = self._reader.model
        device = next(model.parameters()).device
        read, read_mask = _pad([one.ids for one, _ in tokens], device)
        ids, mask = _pad([two.ids for _, two in tokens], device)
        states = model(input_ids=read, attention_mask=read_mask.long()).last_hidden_state
        states = states.masked_fill(~read_mask.unsqueeze(-1), 0.0)
        out = self._conditioner.model(
            source_hidden_states=states,
            target_input_ids=ids,
            target_attention_mask=mask,
            source_attention_mask=read_mask,
        )[:, : max(FLOOR, ids.shape[1])]
        weights = [[*two.weights, *[1.0] * (ids.shape[1] - len(two.weights))] for _, two in tokens]
        if any(weight != 1.0 for row in weights for weight in row):
            factors = send(torch.tensor(weights, dtype=out.dtype), device).unsqueeze(-1)
            out = torch.cat([out[:, : ids.shape[1]] * factors, out[:, ids.shape[1] :]], dim=1)
        hidden = functional.pad(out, (0, 0, 0, max(0, FLOOR - out.shape[1])))
        lengths = send(torch.tensor([self.count_vectors(each) for each in tokens]), device)
        return Context({"hidden": hidden}, torch.arange(hidden.shape[1], device=device) < lengths.unsqueeze(1))


def _pad(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """`pad_ids` to the longest; one column at least: a text without a token is one that is masked."""
    return pad_ids(rows, max(1, *(len(row) for row in rows)), device)
