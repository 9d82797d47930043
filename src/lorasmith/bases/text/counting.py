"""How many tokens each chunk of a prompt has, told without loading a base's models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.text.chunks import Chunk, cut_chunks
from lorasmith.errors import BaseError
from lorasmith.project import EMBEDDED
from lorasmith.prompts.attention import parse_attention
from lorasmith.prompts.compatibility import Compat


def count_tokens(texts: Sequence[str], base: str, compat: Compat = None) -> list[int] | None:
    """Tokens in each of the texts' chunks, in order, as the A1111 web UI cuts them; None where the base's words are
    not at hand. Raises BaseError for a folder without a tokenizer."""
    tokenizer = _find_tokenizer(base)
    if tokenizer is None:
        return None
    cut = (cut_chunks(parse_attention(text, compat), tokenizer) for text in texts)
    return [_count(chunk, tokenizer.eos_token_id) for chunks in cut for chunk in chunks]


def _find_tokenizer(base: str) -> Any:
    """The base's first tokenizer; a checkpoint in one file has the one that all CLIP families share."""
    from transformers import CLIPTokenizer

    if base != EMBEDDED and Path(base).is_file():
        from lorasmith.bases.clip import clip_tokenizer

        return clip_tokenizer()
    try:
        folder = (doodle_folder() if base == EMBEDDED else Path(base)) / "tokenizer"
    except BaseError:
        return None
    if not folder.is_dir():
        if base != EMBEDDED:
            raise BaseError("no tokenizer folder.", where=base, hint="Name a diffusers folder.")
        return None
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def _count(chunk: Chunk, end: int) -> int:
    """Tokens between the first mark and the end mark."""
    return chunk.ids.index(end) - 1
