"""CLIP's vocabulary and tokenizer, as every checkpoint of the families uses them: shipped, so that single files load
offline. The byte pairs are those of open_clip (MIT licence, see NOTICE), 49,408 tokens (Radford et al. 2021)."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

START, END = "<|startoftext|>", "<|endoftext|>"
SIZE = 49408
TOKENS = 77
_FILE = Path(__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
# The file goes on after the pairs that became tokens. Besides them: 256 bytes, plain and at a word's end, two marks.
_PAIRS = SIZE - 2 * 256 - 2


@cache
def byte_pairs() -> tuple[tuple[str, str], ...]:
    """The pairs that are joined, the first ones first."""
    lines = gzip.decompress(_FILE.read_bytes()).decode("utf-8").split("\n")[1 : 1 + _PAIRS]
    return tuple((left, right) for left, _, right in (line.partition(" ") for line in lines))


@cache
def vocabulary() -> Mapping[str, int]:
    """Token -> number: bytes, bytes at a word's end, pairs in order, then the two marks."""
    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256))]
    # The other bytes are written as letters from 256 on (GPT-2's spelling of bytes).
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, byte_pairs()), START, END]
    return {token: number for number, token in enumerate(tokens)}


def clip_tokenizer(pad: str = END) -> Any:
    """The tokenizer of SD 1, SD 2 (`pad` "!") and SDXL (the second one's `pad` is "!"), with 77 tokens at most."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer(vocab=dict(vocabulary()), merges=list(byte_pairs()), pad_token=pad, model_max_length=TOKENS)
