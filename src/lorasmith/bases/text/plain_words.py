"""A base's tokenizers for counting alone: read in milliseconds, without torch and transformers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from lorasmith.bases.clip import END, START, byte_pairs, vocabulary
from lorasmith.bases.tokenizers import load_tokenizer
from lorasmith.errors import BaseError

_SPACES = re.compile(r"[ \t\r\n]+")


class PlainTokenizer:
    """The tokenizer of a folder, or CLIP's own for None; `clip`: its words are cut as CLIP cuts them, whatever its
    files say; `make` gives the library's tokenizer where it is in no folder. Read when it is first asked for a text."""

    def __init__(self, folder: Path | None, *, clip: bool, make: Callable[[], Any] | None = None) -> None:
        self._folder, self._clip, self._make = folder, clip, make
        self._words: dict[str, list[int]] = {}

    @property
    def eos_token_id(self) -> int:
        """CLIP's; others are asked for numbers of tokens alone."""
        return int(self._tokenizer.token_to_id(END)) if self._clip else 0

    @property
    def bos_token_id(self) -> int:
        """CLIP's."""
        return int(self._tokenizer.token_to_id(START))

    @property
    def pad_token_id(self) -> int:
        """A mark behind the end, where nothing is counted."""
        return self.eos_token_id

    def convert_tokens_to_ids(self, token: str) -> int:
        """The number of a token; the end's for one that is not known."""
        known = self._tokenizer.token_to_id(token)
        return self.eos_token_id if known is None else int(known)

    def __call__(self, text: str, *, add_special_tokens: bool = True, **_: object) -> Mapping[str, list[int]]:
        """All `input_ids` of a text. Raises BaseError when the tokenizer cannot be read."""
        if not self._clip:
            return {"input_ids": self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids}
        # CLIP's words end at spaces, so that a text's tokens are those of its words, which come again and again.
        ids = list(chain.from_iterable(map(self._word, _SPACES.split(text))))
        return {"input_ids": [self.eos_token_id, *ids, self.eos_token_id] if add_special_tokens else ids}

    def _word(self, word: str) -> list[int]:
        if word not in self._words:
            self._words[word] = self._tokenizer.encode(word, add_special_tokens=False).ids
        return self._words[word]

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            return self._read()
        except Exception as fault:  # the library raises bare ones
            raise BaseError(f"the tokenizer cannot be read: {fault}.", where=self._folder) from None

    def _read(self) -> Any:
        from tokenizers import Tokenizer

        if self._make is not None:
            return self._make()
        if self._folder is None:
            return cut_as_clip(vocabulary(), list(byte_pairs()))
        if not self._clip:
            read = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
            read.no_truncation()
            read.no_padding()
            return read
        return cut_as_clip(*_read_pairs(self._folder))


def open_tokenizer(folder: Path, name: str, *, clip: bool = False) -> Any:
    """What counts as the tokenizer in the folder `name` of a base does. Raises BaseError where there is none; what is
    wrong with its files shows when it is asked."""
    where = folder / name
    if not where.is_dir():
        raise BaseError(f"no {name} folder.", where=folder)
    if clip or (where / "tokenizer.json").is_file():
        return PlainTokenizer(where, clip=clip)
    from transformers import AutoTokenizer  # other layouts of files: slow to import

    return load_tokenizer(folder, name, AutoTokenizer)


def cut_as_clip(tokens: Mapping[str, int], pairs: list[tuple[str, str]]) -> Any:
    """CLIP's tokenizer with these tokens and pairs (Radford et al. 2021): lower case, single spaces; a word is
    letters, one digit, or other signs, and its last piece bears ``</w>``; bytes are spelt as GPT-2 spells them."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    words = "|".join(
        (re.escape(START), re.escape(END), r"'s|'t|'re|'ve|'m|'ll|'d", r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    )
    made = Tokenizer(BPE(vocab=dict(tokens), merges=pairs, unk_token=END, end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    made.add_special_tokens([START, END])
    return made


def _read_pairs(folder: Path) -> tuple[Mapping[str, int], list[tuple[str, str]]]:
    """Tokens and pairs of tokenizer.json, else of vocab.json and merges.txt."""
    if (folder / "tokenizer.json").is_file():
        model = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]
        tokens, merges = model["vocab"], model["merges"]
    else:
        tokens = json.loads((folder / "vocab.json").read_text("utf-8"))
        lines = (folder / "merges.txt").read_text("utf-8").splitlines()
        merges = [line for line in lines if line.strip() and not line.startswith("#version")]
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in merges]
    return tokens, [(left, right) for left, right in pairs]
