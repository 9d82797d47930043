"""From a node and a number to a text, with a stack of its own: nests have no limit.

A number means: in combinatorial mode the place in the list of all results; in cyclical mode the turn, where every
choice goes on by one at each turn, and what is inside an option whenever that option comes up; in random mode
nothing but the turn of the `{@...}` within.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Mapping, MutableMapping
from collections.abc import Sequence as Texts
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from lorasmith.errors import PromptError
from lorasmith.prompts.dynamic.nodes import Choice, Keep, Lookup, Method, Node, Recall, Sequence, Wrap

if TYPE_CHECKING:
    from lorasmith.prompts.dynamic.ways import Ways

MOST_PIECES = 1_000_000
MOST_LETTERS = 4_000_000

Step: TypeAlias = Callable[[Node], int]

#: What marks the place in a wrapper: an ellipsis of three dots or more, or one of the ellipsis letters.
_ELLIPSIS = re.compile(r"\.{3,}|[\u1801\u2026\u22ee-\u22f0\ufe19]+")


class _Join:
    """Puts the texts since the marks together: `starts` is filled while drawing."""

    __slots__ = ("action", "separator", "slot", "starts")

    def __init__(self, action: str, separator: str = "", slot: int = 0) -> None:
        self.action, self.separator, self.slot = action, separator, slot
        self.starts: list[int] = []


class _Mark:
    """Notes where a part of a join begins."""

    __slots__ = ("join",)

    def __init__(self, join: _Join) -> None:
        self.join = join


class _Rest:
    """The parts of a sequence from `at` on, in combinatorial order, where a kept text decides on their count."""

    __slots__ = ("at", "node")

    def __init__(self, node: Sequence, at: int) -> None:
        self.node, self.at = node, at


def render(
    node: Node,
    mode: Method,
    index: int,
    ways: Ways,
    roll: Random | None = None,
    turn: int | None = None,
    kept: Mapping[int, str] | None = None,
) -> str:
    """The text of a result. `roll` is needed where something is random; `turn` is that of `{@...}`, else `index`.

    Raises PromptError where the text grows beyond 4 million letters.
    """
    if isinstance(node, str):
        return node
    chance = (roll or Random(index)).random
    turn = index if turn is None else turn
    slots: MutableMapping[int, str] = dict(kept) if kept else {}
    out: list[str] = []
    stack: list[tuple[Node | _Join | _Mark | _Rest, int, Method]] = [(node, index, mode)]
    push, pop, give = stack.append, stack.pop, out.append
    while stack:
        item, number, method = pop()
        kind = type(item)
        if kind is str:
            give(item)  # type: ignore[arg-type]
        elif kind is Sequence:
            parts = item.parts  # type: ignore[union-attr]
            if len(out) > MOST_PIECES:
                raise _too_long()
            if method == "combinatorial":
                _push_digits(item, 0, number, ways, slots, stack)  # type: ignore[arg-type]
            else:
                for part in reversed(parts):
                    push((part, number, method))
        elif kind is Choice:
            assert isinstance(item, Choice)
            if item.method is not None and item.method != method and not ways.every:
                if item.method != "combinatorial":
                    method, number = item.method, turn
            options = item.options
            if item.high == 1 == item.low and method != "combinatorial":
                if method == "cyclical":
                    number, place = divmod(number, len(options))
                elif item.sums is None:
                    place = int(chance() * len(options))
                else:
                    place = bisect(item.sums, chance() * item.sums[-1], 0, len(options) - 1)
                push((options[place], number, method))
                continue
            if method == "combinatorial":
                text = ways.known_text(item, number)
                if text is not None:
                    give(text)
                    continue
                picks = ways.pick(item, number, slots)
            elif method == "cyclical":
                picks = _turn_picks(item, number)
            else:
                picks = [(options[place], number) for place in _roll_places(item, chance)]
            if len(picks) == 1:
                push((*picks[0], method))
                continue
            join = _Join("join", item.separator)
            push((join, 0, method))
            for option, digit in reversed(picks):
                push((option, digit, method))
                push((_Mark(join), 0, method))
        elif kind is Recall:
            give(slots[item.slot])  # type: ignore[union-attr]
        elif kind is _Mark:
            item.join.starts.append(len(out))  # type: ignore[union-attr]
        elif kind is _Join:
            _fold(item, out, slots)  # type: ignore[arg-type]
        elif kind is _Rest:
            _push_digits(item.node, item.at, number, ways, slots, stack)  # type: ignore[union-attr]
        elif kind is Keep:
            assert isinstance(item, Keep)
            join = _Join("keep", slot=item.slot)
            push((join, 0, method))
            push((item.value, number, method))
            push((_Mark(join), 0, method))
        elif kind is Wrap:
            assert isinstance(item, Wrap)
            first = second = number
            if method == "combinatorial":
                first, second = divmod(number, ways.count(item.inner, slots))
            join = _Join("wrap")
            push((join, 0, method))
            push((item.inner, second, method))
            push((_Mark(join), 0, method))
            push((item.wrapper, first, method))
            push((_Mark(join), 0, method))
        else:
            assert isinstance(item, Lookup)
            if method == "combinatorial":
                push((*ways.find(item, number, slots), method))
            else:
                path = render(item.path, method, number, ways, roll, turn, slots)
                push((item.table[path], number, method))
    if sum(map(len, out)) > MOST_LETTERS:
        raise _too_long()
    return "".join(out)


def _push_digits(
    node: Sequence,
    at: int,
    number: int,
    ways: Ways,
    slots: MutableMapping[int, str],
    stack: list[tuple[Node | _Join | _Mark | _Rest, int, Method]],
) -> None:
    """Put the parts from `at` on with their numbers, up to one that decides on the count of those behind it."""
    parts = node.parts if at == 0 else node.parts[at:]
    for place, part in enumerate(parts):
        if type(part) is Keep and ways.is_read(part, parts[place + 1 :]):
            before = 1
            for earlier in parts[:place]:
                before *= ways.count(earlier, slots)
            rest = Sequence(parts[place + 1 :], node.reads)
            # What stands before the kept text has the slowest digits.
            total = ways.count_kept(part, rest, slots)
            lead, number = divmod(number, total)
            text, number = ways.choose_kept(part, rest, number, slots)
            slots[part.slot] = text
            stack.append((_Rest(rest, 0), number, "combinatorial"))
            head = Sequence(parts[:place], node.reads)
            for earlier, digit in reversed(list(zip(head.parts, ways.digits(head, lead, slots), strict=True))):
                stack.append((earlier, digit, "combinatorial"))
            return
    for part, digit in reversed(list(zip(parts, ways.digits(Sequence(parts, node.reads), number, slots), strict=True))):
        stack.append((part, digit, "combinatorial"))


def join_parts(texts: Texts[str], separator: str) -> str:
    """The texts with the separator between them; an empty first or last one leaves no separator at the edge."""
    if len(texts) == 1:
        return texts[0]
    return separator.join(texts).removeprefix(separator).removesuffix(separator)


def wrap(wrapper: str, inner: str) -> str:
    """`inner` in place of the wrapper's first ellipsis, or behind it where there is none."""
    mark = _ELLIPSIS.search(wrapper)
    return wrapper + inner if mark is None else wrapper[: mark.start()] + inner + wrapper[mark.end() :]


def _fold(join: _Join, out: list[str], slots: MutableMapping[int, str]) -> None:
    edges = [*join.starts, len(out)]
    if sum(map(len, out[edges[0] :])) > MOST_LETTERS:
        raise _too_long()
    texts = ["".join(out[start:end]) for start, end in zip(edges, edges[1:], strict=False)]
    del out[edges[0] :]
    if join.action == "keep":
        slots[join.slot] = texts[0]
    else:
        out.append(wrap(*texts) if join.action == "wrap" else join_parts(texts, join.separator))


def _roll_places(node: Choice, chance: Callable[[], float]) -> list[int]:
    """Different places: their number even over the range, then drawn by weight one after another."""
    size = node.low + int(chance() * (node.high - node.low + 1))
    places = list(range(len(node.options)))
    if node.weights is None:
        for at in range(size):
            other = at + int(chance() * (len(places) - at))
            places[at], places[other] = places[other], places[at]
        return places[:size]
    chosen = []
    weights = list(node.weights)
    for _ in range(size):
        total = sum(weights)
        mark = chance() * total
        place = len(weights) - 1
        for at, weight in enumerate(weights):
            mark -= weight
            if mark < 0:
                place = at
                break
        else:
            place = int(chance() * len(weights))  # nothing but zero weights is left
        chosen.append(places.pop(place))
        weights.pop(place)
    return chosen


def _turn_picks(node: Choice, number: int) -> list[tuple[Node, int]]:
    """The pick of a turn: all orders of all sizes in a row, then from the beginning, one further inside."""
    n = len(node.options)
    sizes = []
    for size in range(node.low, node.high + 1):
        ways = 1
        for factor in range(n - size + 1, n + 1):
            ways *= factor
        sizes.append((size, ways))
        if ways > 10**18:
            break
    number, place = divmod(number, sum(ways for _, ways in sizes))
    for size, ways in sizes:
        if place < ways:
            break
        place -= ways
    places = list(range(n))
    chosen = []
    for left in range(size, 0, -1):
        ways //= len(places)
        at, place = divmod(place, ways)
        chosen.append((node.options[places.pop(at)], number))
        assert left
    return chosen


def _too_long() -> PromptError:
    return PromptError(
        f"a prompt grows beyond {MOST_LETTERS:,} letters.", where="template", hint="Variables may multiply each other."
    )
