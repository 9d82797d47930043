"""The tokenizers that are shipped, so that single files load offline: Qwen3's byte pairs and T5's pieces (Apache-2.0,
see NOTICE)."""

from __future__ import annotations

import lzma
from functools import cache
from pathlib import Path
from typing import Any

from lorasmith.bases.tokenizers import load_tokenizer
from lorasmith.errors import BaseError

_FOLDER = Path(__file__).parent
_END = "<|endoftext|>"
_MARKS = (
    *(_END, "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>"),
    *("<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>"),
    "<|video_pad|>",
)
_WORDS = (
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"),
)
"""Qwen3's tokens behind its byte pairs, in the order of their numbers: special ones, others."""


def _unpacked(name: str) -> str:
    return lzma.decompress((_FOLDER / name).read_bytes()).decode("utf-8")


@cache
def _pairs() -> tuple[tuple[str, str], ...]:
    lines = _unpacked("qwen_merges.txt.xz").split("\n")
    return tuple((left, right) for left, _, right in (line.partition(" ") for line in lines if line))


def qwen_tokenizer() -> Any:
    """Qwen3's: 256 bytes in GPT-2's spelling, what each pair makes, 26 marks."""
    from transformers import AddedToken, Qwen2Tokenizer

    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + number) for number in range(256 - len(letters))]
    vocabulary = {token: number for number, token in enumerate((*letters, *map("".join, _pairs())))}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=list(_pairs()), eos_token=_END, pad_token=_END, unk_token=None)
    tokenizer.add_tokens([AddedToken(mark, normalized=False, special=True) for mark in _MARKS], special_tokens=True)
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in _WORDS])
    return tokenizer


def t5_tokenizer() -> Any:
    """T5's: 32,000 pieces of text and 100 marks; a text ends in one."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_unpacked("t5_tokenizer.json.xz")),
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
    )


_SHIPPED = {"tokenizer": (qwen_tokenizer, 151_936), "t5_tokenizer": (t5_tokenizer, 32_128)}


def tokenizer_beside(file: Path, name: str, size: int) -> Any:
    """The tokenizer in the folder `name` beside a base's file, else the shipped one, for a model that knows `size`
    tokens. Raises BaseError where the shipped one is not for it."""
    from transformers import AutoTokenizer

    if (file.parent / name).is_dir():
        return load_tokenizer(file.parent, name, AutoTokenizer)
    make, own = _SHIPPED[name]
    if size != own:
        raise BaseError(
            f"knows {size} tokens, not the {own} of the tokenizer that is shipped.",
            where=file,
            hint=f"Put the model's folder {name} beside it.",
        )
    return make()
