"""The tokenizers that are shipped, so that single files load offline: Qwen3's byte pairs and T5's pieces (Apache-2.0,
see NOTICE)."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lorasmith.bases.text.plain_words import PlainTokenizer, open_tokenizer
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

_CUTS = (
    *("(?i:'s|'t|'re|'ve|'m|'ll|'d)", r"[^\r\n\p{L}\p{N}]?\p{L}+", r"\p{N}", r" ?[^\s\p{L}\p{N}]+[\r\n]*"),
    *(r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"),
)
"""Where Qwen's tokenizer cuts a text before it joins pairs: its own tokenizer.json."""


def _unpacked(name: str) -> str:
    return lzma.decompress((_FOLDER / name).read_bytes()).decode("utf-8")


@cache
def _pairs() -> tuple[tuple[str, str], ...]:
    lines = _unpacked("qwen_merges.txt.xz").split("\n")
    return tuple((left, right) for left, _, right in (line.partition(" ") for line in lines if line))


@cache
def _vocabulary() -> Mapping[str, int]:
    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + number) for number in range(256 - len(letters))]
    return {token: number for number, token in enumerate((*letters, *map("".join, _pairs())))}


def qwen_tokenizer() -> Any:
    """Qwen3's: 256 bytes in GPT-2's spelling, what each pair makes, 26 marks."""
    from transformers import AddedToken, Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer(
        vocab=dict(_vocabulary()), merges=list(_pairs()), eos_token=_END, pad_token=_END, unk_token=None
    )
    tokenizer.add_tokens([AddedToken(mark, normalized=False, special=True) for mark in _MARKS], special_tokens=True)
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in _WORDS])
    return tokenizer


def _plain_qwen() -> Any:
    """The same of the tokenizers library alone."""
    from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    made = Tokenizer(BPE(vocab=dict(_vocabulary()), merges=list(_pairs())))
    made.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex("|".join(_CUTS)), behavior="isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in _MARKS])
    made.add_tokens([AddedToken(word, normalized=False) for word in _WORDS])
    return made


def _plain_t5() -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_str(_unpacked("t5_tokenizer.json.xz"))


def t5_tokenizer() -> Any:
    """T5's: 32,000 pieces of text and 100 marks; a text ends in one."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=_plain_t5(),
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
    )


@dataclass(frozen=True)
class _Shipped:
    make: Callable[[], Any]
    plain: Callable[[], Any]
    size: int


_SHIPPED = {
    "tokenizer": _Shipped(qwen_tokenizer, _plain_qwen, 151_936),
    "t5_tokenizer": _Shipped(t5_tokenizer, _plain_t5, 32_128),
}


def tokenizer_beside(file: Path, name: str, size: int) -> Any:
    """The tokenizer in the folder `name` beside a base's file, else the shipped one, for a model that knows `size`
    tokens. Raises BaseError where the shipped one is not for it."""
    from transformers import AutoTokenizer

    if (file.parent / name).is_dir():
        return load_tokenizer(file.parent, name, AutoTokenizer)
    return _shipped_for(file, name, size).make()


def plain_beside(file: Path, name: str, size: int) -> Any:
    """What counts as `tokenizer_beside` does, without transformers where its files allow it. Raises BaseError."""
    if (file.parent / name).is_dir():
        return open_tokenizer(file.parent, name)
    return PlainTokenizer(None, clip=False, make=_shipped_for(file, name, size).plain)


def _shipped_for(file: Path, name: str, size: int) -> _Shipped:
    shipped = _SHIPPED[name]
    if size != shipped.size:
        raise BaseError(
            f"knows {size} tokens, not the {shipped.size} of the tokenizer that is shipped.",
            where=file,
            hint=f"Put the model's folder {name} beside it.",
        )
    return shipped
