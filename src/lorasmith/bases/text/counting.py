"""How many tokens prompts and captions have, told without loading a base's models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorasmith.bases.detection import family_of
from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.families.family import Family
from lorasmith.bases.hub import cached_base, is_hub_id
from lorasmith.bases.text.embeddings import Vocabulary
from lorasmith.bases.text.encoder import TextEncoder
from lorasmith.bases.text.options import LENGTHS, TextOptions
from lorasmith.bases.text.plain_words import PlainTokenizer
from lorasmith.errors import BaseError
from lorasmith.events import Note
from lorasmith.project import EMBEDDED
from lorasmith.prompts.compatibility import Compat
from lorasmith.remedies import Sentence, Write


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
        tokenizer = family.tokenizer(_path_of(base))
    except BaseError:
        if base != EMBEDDED:
            raise
        return None
    reader = family.prompt_encoder([TextEncoder(None, tokenizer, family.text[0].prefix)])
    cut = reader.tokenize(texts, TextOptions("a1111", emphasis="original", compat=compat), words)
    return TokenCount(tuple(count for tokens in cut for count in reader.count_words(tokens)), reader.room)


def find_cut(texts: Mapping[str, str], base: str, options: TextOptions) -> tuple[str, ...]:
    """The names of those texts of which training on a base, as recipes name it, reads only a part. Without torch and
    transformers. None where the base's words are not at hand; raises BaseError for what is another model."""
    doubtful = {name: text for name, text in texts.items() if not text.isascii() or len(text) > options.max_tokens}
    if not doubtful:  # a token has a letter at least
        return ()
    path, family = _path_of(base), family_of(base)
    if not path.exists() or not family.text or (path.is_file() and not family.clip_words):
        return ()
    encoders = [
        TextEncoder(
            None, PlainTokenizer(None if path.is_file() else path / part.tokenizer, clip=family.clip_words), part.prefix
        )
        for part in family.text
    ]
    reader = family.prompt_encoder(encoders)
    try:
        return tuple(name for name, text in doubtful.items() if reader.is_cut(text, options))
    except BaseError:  # loading the base will say what is wrong with it
        return ()


def _path_of(base: str) -> Path:
    """Where a base lies; of a hub id, in the hub's cache if it is there."""
    if base == EMBEDDED:
        return doodle_folder()
    path = Path(base)
    if not path.exists() and is_hub_id(base):
        return cached_base(base) or path
    return path


def warn_of_cut(names: Sequence[str], options: TextOptions, family: Family) -> Iterator[Note]:
    """One warning of the captions that training cuts, with the way to have more of them read."""
    if not names:
        return
    what = f"the caption of {names[0]} is" if len(names) == 1 else f"{len(names)} captions ({names[0]}, ...) are"
    longer = next((length for length in LENGTHS if length > options.max_tokens), None)
    if not family.clip_words:
        yield Note(f"{what} longer than what is read of one; the rest is cut.", "warning")
        return
    remedy = Sentence(" To have more read, in [recipe]: ", Write(f"caption.max_tokens = {longer}")) if longer else ""
    message = f"{what} longer than the {options.max_tokens} tokens that are read; the rest is cut.{remedy}"
    yield Note(message, "warning")
