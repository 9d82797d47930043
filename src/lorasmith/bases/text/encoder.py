"""A text encoder as it was loaded, and what a family does with its own: tokens, then a context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lorasmith.bases.text.chunks import Tokens
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.embeddings import Vocabulary
from lorasmith.bases.text.options import TextOptions


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A text encoder, its tokenizer, and the prefix of its layers' names in adapter files."""

    model: Any
    tokenizer: Any
    prefix: str

    @property
    def root(self) -> Any:
        """The module with `embeddings`, `encoder`, `final_layer_norm`: transformers 5 flattened one class only."""
        return getattr(self.model, "text_model", self.model)


class PromptEncoder(Protocol):
    """How a family's text encoders read texts."""

    @property
    def room(self) -> int:
        """How many tokens of a text stand in a chunk."""
        ...

    @property
    def most_clip_skip(self) -> int:
        """How far back `clip_skip` may reach; 1 where it means nothing."""
        ...

    @property
    def embedding_widths(self) -> tuple[int, ...]:
        """The widths of the vectors that an embedding has for these text encoders; none where they take none."""
        ...

    def tokenize(self, texts: Sequence[str], options: TextOptions, words: Vocabulary | None = None) -> list[Tokens]:
        """Each text as chunks of ids with weights, and with the embeddings of `words` that it calls; without `words`
        all is text. Raises PromptError for an embedding that cannot be used."""
        ...

    def is_cut(self, text: str, options: TextOptions) -> bool:
        """Whether the text is longer than what is read of it."""
        ...

    def count_words(self, tokens: Tokens) -> list[int]:
        """How many tokens of each chunk are the text's own."""
        ...

    def count_vectors(self, tokens: Tokens) -> int:
        """How many vectors the denoiser is told of a text that is encoded by itself (`Context.length`)."""
        ...

    def encode(self, tokens: Sequence[Tokens], options: TextOptions) -> Context:
        """A row for each text, differentiable. Raises ValueError where the encoders lack what the options ask."""
        ...

    def rows_per_text(self, options: TextOptions) -> int:
        """How many rows of a text encoder's pass each text takes when several are encoded together."""
        ...
