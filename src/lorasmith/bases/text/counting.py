"""How many tokens each chunk of a prompt has, told without loading a base's models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lorasmith.bases.detection import family_of
from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.text.embeddings import Vocabulary
from lorasmith.bases.text.encoder import TextEncoder
from lorasmith.bases.text.options import TextOptions
from lorasmith.errors import BaseError
from lorasmith.project import EMBEDDED
from lorasmith.prompts.compatibility import Compat


@dataclass(frozen=True)
class TokenCount:
    """Tokens in each chunk, in order; a chunk has `room` for so many."""

    chunks: tuple[int, ...]
    room: int


def count_tokens(
    texts: Sequence[str], base: str, compat: Compat = None, words: Vocabulary | None = None
) -> TokenCount | None:
    """The tokens of texts as they are cut for drawing on this base, with the embeddings of `words` that they call; None
    where the embedded base's words are not at hand. Raises BaseError for a folder without a tokenizer, and for what is
    another model; PromptError for an embedding that cannot be used."""
    family = family_of(base)
    try:
        tokenizer = family.tokenizer(doodle_folder() if base == EMBEDDED else Path(base))
    except BaseError:
        if base != EMBEDDED:
            raise
        return None
    reader = family.prompt_encoder([TextEncoder(None, tokenizer, family.text[0].prefix)])
    cut = reader.tokenize(texts, TextOptions("a1111", emphasis="original", compat=compat), words)
    return TokenCount(tuple(count for tokens in cut for count in reader.count_words(tokens)), reader.room)
