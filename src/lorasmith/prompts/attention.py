"""Emphasis: ``(x)`` is x 1.1, ``[x]`` is / 1.1, ``(x:1.3)`` is x 1.3, nested ones multiply; ``BREAK`` ends a chunk.

Round and square brackets are matched apart from each other, so they may overlap; unclosed ones reach to the end.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise

from lorasmith.errors import PromptError
from lorasmith.prompts.compatibility import Compat

UP = 1.1
DOWN = 1 / 1.1
# Factors are multiplied in the order in which their brackets close, so that equal weights compare equal and merge.
# Below this depth that order is kept exactly; deeper nests multiply from the outside, to stay linear.
EXACT_DEPTH = 16
MOST_WEIGHT = 1e30
"""What brackets in brackets multiply to at most: beyond it float32 ends."""

_TOKEN = re.compile(r"\\[()\[\]\\]|\\|:\s*([+-]?[.\d]+)\s*\)|[()\[\]]|[^\\()\[\]:]+|:")
_BREAK = re.compile(r"\bBREAK\b")


@dataclass(frozen=True)
class Span:
    """A stretch of text with one weight; `is_break` marks the end of a chunk (text "BREAK", weight -1)."""

    text: str
    weight: float = 1.0
    is_break: bool = False


@dataclass
class _Bracket:
    """An opened bracket: its weight is known when it closes; `order` ranks the closings, unclosed ones last."""

    parent: _Bracket | None
    factor: float
    order: float = math.inf
    total: float | None = None


@dataclass
class _Leaf:
    text: str
    round: _Bracket | None
    square: _Bracket | None
    is_break: bool = False


def parse_attention(text: str, compat: Compat = None) -> list[Span]:
    """Read emphasis and BREAK; neighbours of equal weight are merged; an empty text is one empty span.

    ``\\( \\) \\[ \\] \\\\`` are literal, a lone backslash is dropped. Raises PromptError only with
    ``compat="a1111"``, for a weight such as ``1.2.3``, which is otherwise text.
    """
    leaves = _read_leaves(text, compat)
    spans = _weigh(leaves, breaks_weighted=compat == "a1111")
    return _merge(spans) if spans else [Span("")]


def _read_leaves(text: str, compat: Compat) -> list[_Leaf]:
    leaves: list[_Leaf] = []
    round_, square = None, None  # the innermost open bracket of each kind
    order = 0
    for match in _TOKEN.finditer(text):
        token, weight = match.group(0), match.group(1)
        if token[0] == "\\":
            leaves.append(_Leaf(token[1:], round_, square))
        elif token == "(":
            round_ = _Bracket(round_, UP)
        elif token == "[":
            square = _Bracket(square, DOWN)
        elif round_ is not None and (weight is not None or token == ")"):
            factor = UP if weight is None else _read_weight(weight, compat)
            if factor is None:
                _read_words(leaves, token[:-1], round_, square)
                factor = UP
            round_.factor, round_.order = factor, order
            order += 1
            round_ = round_.parent
        elif square is not None and token == "]":
            square.order = order
            order += 1
            square = square.parent
        else:
            _read_words(leaves, token, round_, square)
    return leaves


def _read_words(leaves: list[_Leaf], text: str, round_: _Bracket | None, square: _Bracket | None) -> None:
    cuts = [(match.start(), match.end()) for match in _BREAK.finditer(text)]
    if not cuts:
        leaves.append(_Leaf(text, round_, square))
        return
    edges = [(0, 0), *cuts, (len(text), len(text))]
    for index, ((_, start), (end, _)) in enumerate(pairwise(edges)):
        part = text[start:end]
        if index > 0:
            leaves.append(_Leaf("BREAK", round_, square, is_break=True))
            part = part.lstrip()
        if index < len(cuts):
            part = part.rstrip()
        leaves.append(_Leaf(part, round_, square))


def _read_weight(text: str, compat: Compat) -> float | None:
    try:
        weight = float(text)
    except ValueError:
        weight = math.inf
    if math.isfinite(weight):
        return weight
    if compat == "a1111":
        raise PromptError(f'the weight "{text[:40]}" is not a number.', where="prompt")
    return None


def _weigh(leaves: list[_Leaf], breaks_weighted: bool) -> list[Span]:
    spans = []
    known: dict[tuple[int, int], float] = {}
    for leaf in leaves:
        if leaf.is_break and not breaks_weighted:
            spans.append(Span("BREAK", -1.0, is_break=True))
            continue
        key = (id(leaf.round), id(leaf.square))
        if key not in known:
            known[key] = max(-MOST_WEIGHT, min(MOST_WEIGHT, _product(leaf.round, leaf.square)))
        weight = -known[key] if leaf.is_break else known[key]
        spans.append(Span(leaf.text, weight, is_break=leaf.is_break and weight == -1.0))
    return spans


def _product(round_: _Bracket | None, square: _Bracket | None) -> float:
    """The product of all factors around a leaf, in closing order up to `EXACT_DEPTH` of them."""
    rounds, squares = _chain(round_), _chain(square)
    if len(rounds) + len(squares) > EXACT_DEPTH:
        return _total(round_) * _total(square)
    product = 1.0
    # Stable: of unclosed ones the round come first. Within a kind, inner brackets close before outer ones.
    for bracket in sorted([*rounds, *squares], key=lambda bracket: bracket.order):
        product *= bracket.factor
    return product


def _chain(bracket: _Bracket | None) -> list[_Bracket]:
    """The bracket and those around it, but no more than are needed to know that the nest is deep."""
    chain: list[_Bracket] = []
    while bracket is not None and len(chain) <= EXACT_DEPTH:
        chain.append(bracket)
        bracket = bracket.parent
    return chain


def _total(bracket: _Bracket | None) -> float:
    """The product from the outermost bracket down to this one; each bracket is computed once."""
    path: list[_Bracket] = []
    while bracket is not None and bracket.total is None:
        path.append(bracket)
        bracket = bracket.parent
    product = 1.0 if bracket is None or bracket.total is None else bracket.total
    for inner in reversed(path):
        product *= inner.factor
        inner.total = product
    return product


def _merge(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    texts: list[str] = []
    for span, following in zip(spans, [*spans[1:], None], strict=True):
        texts.append(span.text)
        if following is None or following.weight != span.weight or following.is_break or span.is_break:
            merged.append(Span("".join(texts), span.weight, span.is_break))
            texts = []
    return merged
