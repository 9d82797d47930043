"""What a template is made of once variables and wildcards are looked up.

Nodes share their parts freely, may be nested without limit, and are compared by identity. `reads` are the kept
values on which a node's number of results depends: those that stand in the path of a wildcard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias

Method = Literal["random", "combinatorial", "cyclical"]
METHODS: Mapping[str, Method] = {"~": "random", "!": "combinatorial", "@": "cyclical"}
NOTHING: frozenset[int] = frozenset()

Node: TypeAlias = "str | Sequence | Choice | Keep | Recall | Lookup | Wrap"


@dataclass(frozen=True, eq=False, slots=True)
class Sequence:
    """One part behind the other. `backwards` are the same parts, as a stack wants them."""

    parts: tuple[Node, ...]
    reads: frozenset[int]
    backwards: tuple[Node, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """`low` to `high` different options, joined by `separator`; `weights` None where all are equal.

    `sums` are the running sums of the weights, `is_single` says that it is always one option. `method` None is that
    of what is around it.
    """

    options: tuple[Node, ...]
    weights: tuple[float, ...] | None
    sums: tuple[float, ...] | None
    low: int
    high: int
    separator: str
    method: Method | None
    is_single: bool
    reads: frozenset[int]


@dataclass(frozen=True, eq=False, slots=True)
class Keep:
    """Rolls `value` and keeps the text under the number `slot`; gives no text itself."""

    slot: int
    value: Node
    reads: frozenset[int]


@dataclass(frozen=True, eq=False, slots=True)
class Recall:
    """The text kept under `slot`."""

    slot: int
    reads: frozenset[int] = NOTHING


@dataclass(frozen=True, eq=False, slots=True)
class Lookup:
    """A wildcard whose path is only known when drawn: `table` has the node of every text that `path` can give."""

    path: Node
    table: Mapping[str, Node]
    reads: frozenset[int]


@dataclass(frozen=True, eq=False, slots=True)
class Wrap:
    """`inner` in place of the first ellipsis of what `wrapper` gives."""

    wrapper: Node
    inner: Node
    reads: frozenset[int]


def reads_of(nodes: Iterable[Node]) -> frozenset[int]:
    """All that any of the nodes reads."""
    found = NOTHING
    for node in nodes:
        if not isinstance(node, str) and node.reads:
            found |= node.reads
    return found


def new_sequence(parts: list[Node]) -> Node:
    """The parts as one node; a single part is itself, none is the empty text."""
    if len(parts) == 1 and not isinstance(parts[0], Keep):
        return parts[0]
    return chain(parts) if parts else ""


def chain(parts: Iterable[Node]) -> Sequence:
    """A sequence of any number of parts."""
    every = tuple(parts)
    return Sequence(every, reads_of(every), every[::-1])


def new_choice(
    options: Iterable[Node],
    weights: Iterable[float] = (),
    low: int = 1,
    high: int = 1,
    separator: str = ",",
    method: Method | None = None,
) -> Node:
    """A choice of `low` to `high` options, no more than there are; weights that are all zero count as equal."""
    chosen = tuple(options)
    scale = tuple(weights)
    if not any(scale) or len(set(scale)) == 1:
        scale = ()
    low, high = min(low, high, len(chosen)), min(max(low, high), len(chosen))
    if len(chosen) == 1 and low == high == 1:
        return chosen[0]
    if high == 0:
        return ""
    sums = tuple(accumulate(scale))
    return Choice(chosen, scale or None, sums or None, low, high, separator, method, low == high == 1, reads_of(chosen))


def children(node: Node) -> tuple[Node, ...]:
    """What a node is made of, in no order that matters."""
    if isinstance(node, Sequence):
        return node.parts
    if isinstance(node, Choice):
        return node.options
    if isinstance(node, Keep):
        return (node.value,)
    if isinstance(node, Lookup):
        return (node.path, *node.table.values())
    if isinstance(node, Wrap):
        return (node.wrapper, node.inner)
    return ()


def recalled_slots(node: Node) -> frozenset[int]:
    """The slots that a node's text depends on."""
    found, seen, waiting = set(), set(), [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str) or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Recall):
            found.add(each.slot)
        waiting += children(each)
    return frozenset(found)
