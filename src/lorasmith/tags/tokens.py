"""How a base's tokenizer cuts a word, from its vocabulary alone: plain data, in the form of CLIP's vocab.json."""

from __future__ import annotations

import gzip
import itertools
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_END = "</w>"
_PAIRS = 49408 - 2 * 256 - 2
"""So many lines of the file became tokens."""
_PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+")


def count_tokens(text: str, tokens: Mapping[str, int]) -> int:
    """How many tokens the text takes, without start and end.

    Byte-pair encoding with the numbers of the vocabulary as the order of merging, as such vocabularies are written
    (bytes first, then merges by rank).
    """
    return sum(len(_cut(piece, tokens)) for piece in _PIECES.findall(text.casefold()))


def is_token(text: str, tokens: Mapping[str, int]) -> bool:
    """Whether the whole text is a single token: a word that was frequent where the base learnt to read."""
    pieces = _PIECES.findall(text.casefold())
    return len(pieces) == 1 and len(pieces[0]) > 1 and pieces[0] + _END in tokens


def is_word(text: str) -> bool:
    """Whether the text, or every word of it, is a whole token of CLIP's vocabulary: a word that was frequent where the
    bases learnt to read."""
    pieces = _PIECES.findall(text.casefold())
    return bool(pieces) and all(len(piece) == 1 or piece + _END in _clip_words() for piece in pieces)


@cache
def _clip_words() -> frozenset[str]:
    """Data of a higher layer: only its place is known here."""
    packed = (files("lorasmith") / "bases" / "clip" / "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    pairs = gzip.decompress(packed).decode("utf-8").split("\n")[1 : 1 + _PAIRS]
    return frozenset(pair.replace(" ", "") for pair in pairs if pair.endswith(_END))


def _cut(word: str, tokens: Mapping[str, int]) -> list[str]:
    parts = [_letter(byte) for byte in word.encode("utf-8")]
    parts[-1] += _END
    while len(parts) > 1:
        pairs = [(tokens[a + b], place) for place, (a, b) in enumerate(itertools.pairwise(parts)) if a + b in tokens]
        if not pairs:
            break
        _, place = min(pairs)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def _letter(byte: int) -> str:
    """The printable letter that stands for a byte in such vocabularies."""
    if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255:
        return chr(byte)
    others = [b for b in range(256) if not (33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255)]
    return chr(256 + others.index(byte))
