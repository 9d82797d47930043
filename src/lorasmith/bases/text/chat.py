"""A language model's reading of a text as a user's message to it: Z-Image's way, and FLUX.2-klein's. Shapes: B rows, T
tokens, D width."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from lorasmith.bases.text.chunks import Chunk, Tokens, token_ids
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.embeddings import Vocabulary, refuse_called
from lorasmith.bases.text.encoder import TextEncoder
from lorasmith.bases.text.long import WholeTexts, pad_ids
from lorasmith.bases.text.options import TextOptions

LIMIT = 512
"""Tokens that are read, the message's marks among them; the rest is cut (diffusers' ZImagePipeline)."""
STEP = 32
"""There are a multiple of so many vectors, so that prompts of about one length go through the denoiser together."""
_BEFORE, _BEHIND = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
"""What Qwen3's chat template makes of one message of a user, thinking allowed."""
_NO_THOUGHT = "<think>\n\n</think>\n\n"
"""What it puts behind where thinking is not."""


class ChatPromptEncoder(WholeTexts):
    """The states before the last layer (B, T, D) of the message, with its marks; vectors past its end are 0 and masked.

    Brackets are letters, as in ComfyUI (`comfy/text_encoders/z_image.py`): the denoiser brings each vector to one
    length, so that a weight on it would do nothing. In prompts ``\\(`` is a bracket, too, as everywhere.
    """

    _behind = _BEHIND

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    @cached_property
    def room(self) -> int:
        """Tokens of a text that are read."""
        return LIMIT - self._marks

    @cached_property
    def _marks(self) -> int:
        return len(token_ids(f"{_BEFORE}{self._behind}", self._encoder.tokenizer))

    def tokenize(self, texts: Sequence[str], options: TextOptions, words: Vocabulary | None = None) -> list[Tokens]:
        """Each text as one chunk."""
        refuse_called(texts, words)
        cut = (self._read(text, options)[:LIMIT] for text in texts)
        return [(Chunk(tuple(ids), (1.0,) * len(ids)),) for ids in cut]

    def _read(self, text: str, options: TextOptions) -> list[int]:
        if options.emphasis != "none":
            text = text.replace("\\(", "(").replace("\\)", ")")
        return token_ids(f"{_BEFORE}{text}{self._behind}", self._encoder.tokenizer)

    def is_cut(self, text: str, options: TextOptions) -> bool:
        """Whether the text is longer than the limit."""
        # A token is a character at least, and may be a byte.
        return len(text.encode()) > LIMIT - len(_BEFORE + self._behind) and len(self._read(text, options)) > LIMIT

    def count_words(self, tokens: Tokens) -> list[int]:
        """Without the marks."""
        return [max(0, len(chunk.ids) - self._marks) for chunk in tokens]

    def count_vectors(self, tokens: Tokens) -> int:
        """One a token, and those that are masked."""
        return _rounded(len(tokens[0].ids))

    def encode(self, tokens: Sequence[Tokens], options: TextOptions) -> Context:  # noqa: ARG002 - nothing is weighed
        """The states (B, T, D) and the mask (B, T); T is of the longest text, rounded up."""
        model = self._encoder.model
        device = next(model.parameters()).device
        rows = [chunk.ids for (chunk,) in tokens]
        ids, mask = pad_ids(rows, _rounded(max(len(row) for row in rows)), device)
        states = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True, use_cache=False)
        hidden = states.hidden_states[-2] * mask.unsqueeze(-1)
        return Context({"hidden": hidden}, mask, tuple(len(row) for row in rows))


class DeepChatPromptEncoder(ChatPromptEncoder):
    """The states a quarter, a half and three quarters of the way up, side by side (B, 512, 3 D), of the message, an
    answer without thinking begun; those of the padding behind it count, too (diffusers' Flux2KleinPipeline).

    Brackets are letters, as in ComfyUI (`comfy/text_encoders/flux.py`).
    """

    _behind = f"{_BEHIND}{_NO_THOUGHT}"

    def count_vectors(self, tokens: Tokens) -> int:  # noqa: ARG002 - of any text
        """Always as many."""
        return LIMIT

    def encode(self, tokens: Sequence[Tokens], options: TextOptions) -> Context:  # noqa: ARG002 - nothing is weighed
        """The states (B, 512, 3 D)."""
        import torch

        model = self._encoder.model
        device = next(model.parameters()).device
        ids, mask = pad_ids([chunk.ids for (chunk,) in tokens], LIMIT, device)
        ids = ids.masked_fill(~mask, self._encoder.tokenizer.pad_token_id)
        read = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True, use_cache=False)
        states = read.hidden_states
        taken = [states[(len(states) - 1) * quarter // 4] for quarter in (1, 2, 3)]
        return Context({"hidden": torch.cat(taken, dim=2)})


def _rounded(length: int) -> int:
    return -(-length // STEP) * STEP
