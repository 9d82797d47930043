"""From a node and a number to a text, with a stack of its own: nests have no limit.

A number means: in combinatorial mode the place in the list of all results; in cyclical mode the turn, where every
choice goes on by one at each turn, and what is inside an option whenever that option comes up; in random mode
nothing but the turn of the `{@...}` within.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Texts
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, TypeAlias

from lorasmith.errors import PromptError
from lorasmith.prompts.dynamic.nodes import Choice, Keep, Lookup, Method, Node, Recall, Sequence, Wrap, chain

if TYPE_CHECKING:
    from lorasmith.prompts.dynamic.ways import Ways

MOST_PIECES = 1_000_000
MOST_LETTERS = 4_000_000

Chance: TypeAlias = Callable[[], float]

#: What marks the place in a wrapper: an ellipsis of three dots or more, or one of the ellipsis letters.
_ELLIPSIS = re.compile(r"\.{3,}|[\u1801\u2026\u22ee-\u22f0\ufe19]+")
_WORDS = struct.Struct("<16L").unpack


class _Mark:
    """Notes where a part of a join begins."""

    __slots__ = ("join",)

    def __init__(self, join: _Join) -> None:
        self.join = join


class _Join:
    """Puts the texts since its marks together; `starts` is filled while drawing."""

    __slots__ = ("action", "mark", "separator", "slot", "starts")

    def __init__(self, action: str, separator: str = "", slot: int = 0) -> None:
        self.action, self.separator, self.slot = action, separator, slot
        self.starts: list[int] = []
        self.mark = _Mark(self)


_Task: TypeAlias = "tuple[Node | _Join | _Mark, int, Method]"


def rolls(seed: int) -> Iterator[float]:
    """Numbers in [0, 1), 32 bits each: the BLAKE2b hashes of ``SEED:0``, ``SEED:1`` ... cut into little-endian words.

    Cheap to begin, so that each prompt has its own; the same on every machine and in every version.
    """
    block = 0
    while True:
        for word in _WORDS(blake2b(b"%d:%d" % (seed, block)).digest()):
            yield word * 2**-32
        block += 1


def roll(node: Node, seed: int, turn: int, ways: Ways) -> str:
    """A random text: that of the prompt seed `seed`; `turn` is for the `{@...}` within.

    Raises PromptError where the text grows beyond 4 million letters.
    """
    if isinstance(node, str):
        return node
    chance = rolls(seed).__next__
    slots: dict[int, str] = {}
    out: list[str] = []
    stack: list[Node | _Join | _Mark] = [node]
    push, pop, give = stack.append, stack.pop, out.append
    while stack:
        item = pop()
        kind = type(item)
        if kind is str:
            give(item)  # type: ignore[arg-type]
        elif kind is Choice:
            if item.method == "cyclical":  # type: ignore[union-attr]
                give(render(item, "cyclical", turn, ways, chance, turn, slots))  # type: ignore[arg-type]
            elif item.is_single:  # type: ignore[union-attr]
                options, sums = item.options, item.sums  # type: ignore[union-attr]
                if sums is None:
                    push(options[int(chance() * len(options))])
                else:
                    push(options[bisect(sums, chance() * sums[-1], 0, len(options) - 1)])
            else:
                assert isinstance(item, Choice)
                picks = [(item.options[place], turn) for place in _roll_places(item, chance)]
                stack += [each for each, _, _ in _joined(picks, _Join("join", item.separator), "random")]
        elif kind is Sequence:
            stack += item.backwards  # type: ignore[union-attr]
            if len(out) > MOST_PIECES:
                raise too_long()
        elif kind is Recall:
            give(slots[item.slot])  # type: ignore[union-attr]
        elif kind is _Mark:
            item.join.starts.append(len(out))  # type: ignore[union-attr]
        elif kind is _Join:
            _fold(item, out, slots)  # type: ignore[arg-type]
        elif kind is Keep:
            assert isinstance(item, Keep)
            join = _Join("keep", slot=item.slot)
            stack += (join, item.value, join.mark)
        elif kind is Wrap:
            assert isinstance(item, Wrap)
            join = _Join("wrap")
            stack += (join, item.inner, join.mark, item.wrapper, join.mark)
        else:
            assert isinstance(item, Lookup)
            push(item.table[render(item.path, "random", turn, ways, chance, turn, slots)])
    return _finish(out)


def render(
    node: Node,
    mode: Method,
    index: int,
    ways: Ways,
    chance: Chance | None = None,
    turn: int | None = None,
    kept: Mapping[int, str] | None = None,
) -> str:
    """The text of a result in any mode. `chance` is for what is random within, `turn` for `{@...}`, else `index`.

    `kept` are the texts under the slots. Raises PromptError where the text grows beyond 4 million letters.
    """
    if isinstance(node, str):
        return node
    chance = rolls(index).__next__ if chance is None else chance
    turn = index if turn is None else turn
    slots: dict[int, str] = dict(kept) if kept else {}
    out: list[str] = []
    stack: list[_Task] = [(node, index, mode)]
    while stack:
        item, number, method = stack.pop()
        if isinstance(item, str):
            out.append(item)
        elif isinstance(item, Sequence):
            if len(out) > MOST_PIECES:
                raise too_long()
            if method == "combinatorial":
                _push_digits(item, number, ways, slots, stack)
            else:
                stack += [(part, number, method) for part in item.backwards]
        elif isinstance(item, Choice):
            if item.method not in (None, "combinatorial", method) and not ways.every:
                assert item.method is not None
                method, number = item.method, turn
            if method == "random":
                places = _roll_places(item, chance)
                picks = [(item.options[place], number) for place in places]
            elif method == "cyclical":
                picks = _turn_picks(item, number)
            else:
                text = ways.known_text(item, number)
                picks = [(text, 0)] if text is not None else ways.pick(item, number, slots)
            if len(picks) == 1:
                stack.append((*picks[0], method))
            else:
                stack += _joined(picks, _Join("join", item.separator), method)
        elif isinstance(item, Recall):
            out.append(slots[item.slot])
        elif isinstance(item, _Mark):
            item.join.starts.append(len(out))
        elif isinstance(item, _Join):
            _fold(item, out, slots)
        elif isinstance(item, Keep):
            stack += _joined([(item.value, number)], _Join("keep", slot=item.slot), method)
        elif isinstance(item, Wrap):
            outer = inner = number
            if method == "combinatorial":
                outer, inner = divmod(number, ways.count(item.inner, slots))
            stack += _joined([(item.wrapper, outer), (item.inner, inner)], _Join("wrap"), method)
        elif method == "combinatorial":
            stack.append((*ways.find(item, number, slots), method))
        else:
            path = render(item.path, method, number, ways, chance, turn, slots)
            stack.append((item.table[path], number, method))
    return _finish(out)


def join_parts(texts: Texts[str], separator: str) -> str:
    """The texts with the separator between them; an empty first or last one leaves no separator at the edge."""
    if len(texts) == 1:
        return texts[0]
    return separator.join(texts).removeprefix(separator).removesuffix(separator)


def wrap(wrapper: str, inner: str) -> str:
    """`inner` in place of the wrapper's first ellipsis, or behind it where there is none."""
    mark = _ELLIPSIS.search(wrapper)
    return wrapper + inner if mark is None else wrapper[: mark.start()] + inner + wrapper[mark.end() :]


def _joined(picks: Texts[tuple[Node, int]], join: _Join, method: Method) -> list[_Task]:
    """What goes on the stack for the parts of a join: the first part on top."""
    tasks: list[_Task] = [(join, 0, method)]
    for option, number in reversed(picks):
        tasks += ((option, number, method), (join.mark, 0, method))
    return tasks


def _push_digits(node: Sequence, number: int, ways: Ways, slots: dict[int, str], stack: list[_Task]) -> None:
    """Put a sequence's parts with their numbers, up to one whose kept text decides on the count of those behind."""
    parts = node.parts
    tasks: list[tuple[Node, int]] = []
    for at, part in enumerate(parts):
        if isinstance(part, Keep) and ways.is_read(part, parts[at + 1 :]):
            rest = chain(parts[at + 1 :])
            parts = parts[:at]
            number, behind = divmod(number, ways.count_kept(part, rest, slots))
            slots[part.slot], behind = ways.choose_kept(part, rest, behind, slots)
            tasks.append((rest, behind))
            break
    tasks += reversed(list(zip(parts, ways.digits(parts, number, slots), strict=True)))
    stack += [(part, digit, "combinatorial") for part, digit in tasks]


def _fold(join: _Join, out: list[str], slots: dict[int, str]) -> None:
    edges = [*join.starts, len(out)]
    texts = [_finish(out[start:end]) for start, end in pairwise(edges)]
    del out[edges[0] :]
    if join.action == "keep":
        slots[join.slot] = texts[0]
    else:
        out.append(wrap(*texts) if join.action == "wrap" else join_parts(texts, join.separator))


def _finish(pieces: list[str]) -> str:
    if len(pieces) > 256 and sum(map(len, pieces)) > MOST_LETTERS:
        raise too_long()
    return "".join(pieces)


def _roll_places(node: Choice, chance: Chance) -> list[int]:
    """Different places: their number even over the range, then drawn by weight one after another."""
    size = node.low + int(chance() * (node.high - node.low + 1)) if node.high > node.low else node.low
    places = list(range(len(node.options)))
    if node.weights is None:
        for at in range(size):
            other = at + int(chance() * (len(places) - at))
            places[at], places[other] = places[other], places[at]
        return places[:size]
    chosen = []
    weights = list(node.weights)
    for _ in range(size):
        sums = list(accumulate(weights))
        mark = chance()
        # Once nothing but zero weights is left, all are equal.
        at = bisect(sums, mark * sums[-1], 0, len(sums) - 1) if sums[-1] > 0 else int(mark * len(sums))
        chosen.append(places.pop(at))
        weights.pop(at)
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
            break  # no turn comes so far
    number, place = divmod(number, sum(ways for _, ways in sizes))
    at = 0
    while place >= sizes[at][1]:
        place -= sizes[at][1]
        at += 1
    size, ways = sizes[at]
    places = list(range(n))
    chosen = []
    for _ in range(size):
        ways //= len(places)
        next_place, place = divmod(place, ways)
        chosen.append((node.options[places.pop(next_place)], number))
    return chosen


def too_long() -> PromptError:
    """The error for a text that grows without measure."""
    return PromptError(
        f"a prompt grows beyond {MOST_LETTERS:,} letters.", where="template", hint="Variables may multiply each other."
    )
