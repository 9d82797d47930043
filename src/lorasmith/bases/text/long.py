"""A text encoder that reads a long text in one piece. Shapes: B rows, T tokens, D width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lorasmith.bases.text.chunks import Chunk, Tokens, token_ids
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.embeddings import Vocabulary, refuse_called
from lorasmith.bases.text.emphasis import read_spans, weigh_chunk
from lorasmith.bases.text.encoder import TextEncoder
from lorasmith.bases.text.options import TextOptions
from lorasmith.diffusion.transfer import send

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class WholeTexts:
    """What encoders that read a text in one piece have in common: CLIP's rules mean nothing to them."""

    @property
    def most_clip_skip(self) -> int:
        """1: the last states are taken."""
        return 1

    @property
    def embedding_widths(self) -> tuple[int, ...]:
        """It takes no embeddings."""
        return ()

    def rows_per_text(self, options: TextOptions) -> int:  # noqa: ARG002
        """One."""
        return 1


def pad_ids(rows: Sequence[Sequence[int]], length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The ids (B, `length`) of rows of any length, 0 behind a row's own, and which are its own."""
    import torch

    ids = send(torch.tensor([[*row, *[0] * (length - len(row))] for row in rows]), device)
    lengths = send(torch.tensor([len(row) for row in rows]), device)
    return ids, torch.arange(length, device=device) < lengths.unsqueeze(1)


class LongPromptEncoder(WholeTexts):
    """Reads up to `limit` tokens at once, whatever the chunking; vectors past a text's end are 0 and masked.

    Weights multiply the tokens' vectors; CLIP's rules (chunks, BREAK, clip skip) have no meaning here. There are a
    multiple of `step` vectors, so that prompts of about one length go through the denoiser together.
    """

    def __init__(self, encoder: TextEncoder, limit: int, step: int = 1) -> None:
        self._encoder = encoder
        self._limit, self._step = limit, step
        self.room = limit - 1

    def tokenize(self, texts: Sequence[str], options: TextOptions, words: Vocabulary | None = None) -> list[Tokens]:
        """Each text as one chunk of at least one id."""
        refuse_called(texts, words)
        return [(self._read(text, options, self._limit),) for text in texts]

    def _read(self, text: str, options: TextOptions, limit: int) -> Chunk:
        tokenizer = self._encoder.tokenizer
        ids: list[int] = []
        weights: list[float] = []
        for span in read_spans(text, options.emphasis, options.compat):
            piece = [] if span.is_break else token_ids(span.text, tokenizer)
            ids += piece
            weights += [span.weight] * len(piece)
        end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.pad_token_id
        ids, weights = [*ids[: limit - 1], end], [*weights[: limit - 1], 1.0]
        return Chunk(tuple(ids), tuple(weights))

    def is_cut(self, text: str, options: TextOptions) -> bool:
        """Whether the text is longer than the limit."""
        # A token is a character at least, and may be a byte.
        return len(text.encode()) >= self._limit and len(self._read(text, options, 2**31).ids) > self._limit

    def count_words(self, tokens: Tokens) -> list[int]:
        """Without the end's."""
        return [len(chunk.ids) - 1 for chunk in tokens]

    def count_vectors(self, tokens: Tokens) -> int:
        """One a token, and those that are masked."""
        return self._rounded(sum(len(chunk.ids) for chunk in tokens))

    def _rounded(self, length: int) -> int:
        return -(-length // self._step) * self._step

    def encode(self, tokens: Sequence[Tokens], options: TextOptions) -> Context:
        """The last hidden states (B, T, D) and the mask (B, T); T is of the longest text, rounded up."""
        import torch

        model = self._encoder.model
        device = next(model.parameters()).device
        chunks = [chunk for (chunk,) in tokens]
        longest = self._rounded(max(len(chunk.ids) for chunk in chunks))
        ids, mask = pad_ids([chunk.ids for chunk in chunks], longest, device)
        out = model(input_ids=ids, attention_mask=mask.long())
        hidden = out.last_hidden_state * mask.unsqueeze(-1)
        if options.emphasis != "none":
            rows = [
                torch.cat(
                    [weigh_chunk(row[:, : len(chunk.ids)], chunk.weights, options.emphasis), row[:, len(chunk.ids) :]],
                    dim=1,
                )
                for row, chunk in zip(torch.split(hidden, 1), chunks, strict=True)
            ]
            hidden = torch.cat(rows)
        return Context({"hidden": hidden}, mask, tuple(len(chunk.ids) for chunk in chunks))
