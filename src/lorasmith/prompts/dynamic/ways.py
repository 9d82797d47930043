"""How many prompts a template gives, and the one of a given number, without the ones before it.

Results are in the order in which they would be written down: what stands further right changes faster; picks of
several go through all orders of the options. Counts are exact up to `MANY` and stop there.

A choice gives equal texts once, and a pick of several has no text twice while it can be helped; both hold for
choices of up to `MOST_TEXTS` results, and larger ones are told apart by their options' positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import permutations, product

from lorasmith.errors import PromptError
from lorasmith.prompts.dynamic.drawing import join_parts, render, wrap
from lorasmith.prompts.dynamic.nodes import Choice, Keep, Lookup, Node, Sequence, Wrap, chain, children

MANY = 10**100
MOST_TEXTS = 1024
MOST_LETTERS = 32_768
NO_KEPT: Mapping[int, str] = {}


class Ways:
    """Counts and finds results. With `every` the marks `{~...}` and `{@...}` count as combinatorial, too."""

    def __init__(self, every: bool = False) -> None:
        self.every = every
        self._counts: dict[int, int] = {}
        self._texts: dict[int, tuple[str, ...]] = {}
        self._alive: list[Node] = []

    def count(self, node: Node, kept: Mapping[int, str] = NO_KEPT) -> int:
        """The number of results, at most MANY. `kept` are the texts under the slots that `node` reads."""
        if isinstance(node, str):
            return 1
        known = self._counts.get(id(node))
        return known if known is not None else self._measure(node, kept)

    def texts(self, node: Node, kept: Mapping[int, str], most: int) -> list[str]:
        """All results in order. Raises PromptError where there are more than `most`."""
        count = self.count(node, kept)
        if count > most:
            raise PromptError(f"more than {most:,} values for one variable.", where="template")
        return [render(node, "combinatorial", index, self, kept=kept) for index in range(count)]

    def known_text(self, node: Choice, index: int) -> str | None:
        """The result of a choice whose results are all at hand, else None."""
        texts = self._texts.get(id(node))
        return None if texts is None else texts[index]

    def is_finite(self, node: Choice) -> bool:
        """Whether a choice takes part in the combinations, rather than being rolled or going round."""
        return self.every or node.method in (None, "combinatorial")

    def is_read(self, part: Keep, behind: tuple[Node, ...]) -> bool:
        """Whether the count of the parts behind hangs on the text that `part` keeps."""
        return any(not isinstance(each, str) and part.slot in each.reads for each in behind)

    def count_kept(self, part: Keep, rest: Sequence, kept: Mapping[int, str]) -> int:
        """The results of `part` and the parts behind it, which read what it keeps."""
        values = self.texts(part.value, kept, MOST_TEXTS)
        return min(MANY, sum(self._measure(rest, {**kept, part.slot: text}) for text in values))

    def choose_kept(self, part: Keep, rest: Sequence, index: int, kept: Mapping[int, str]) -> tuple[str, int]:
        """(the text that `part` keeps in a result, the number of the parts behind it)."""
        for text in self.texts(part.value, kept, MOST_TEXTS):
            count = self._measure(rest, {**kept, part.slot: text})
            if index < count:
                return text, index
            index -= count
        raise AssertionError("a number beyond the count")

    def digits(self, parts: tuple[Node, ...], index: int, kept: Mapping[int, str]) -> list[int]:
        """The number of each part, the last one changing fastest."""
        digits = []
        for part in reversed(parts):
            count = self.count(part, kept)
            index, digit = divmod(index, count) if count > 1 else (index, 0)
            digits.append(digit)
        digits.reverse()
        return digits

    def pick(self, node: Choice, index: int, kept: Mapping[int, str]) -> list[tuple[Node, int]]:
        """The options of a choice's result and the number of each."""
        counts = [self.count(option, kept) for option in node.options]
        if node.is_single:
            for option, count in zip(node.options, counts, strict=True):
                if index < count:
                    return [(option, index)]
                index -= count
        size = node.low
        while index >= (ways := _arrangements(counts, size)):
            index -= ways
            size += 1
        places = list(range(len(counts)))
        chosen: list[int] = []
        so_far = 1
        for left in range(size - 1, -1, -1):
            for place in places:
                others = [counts[other] for other in places if other != place] if left else []
                ways = min(MANY, so_far * counts[place] * _arrangements(others, left))
                if index < ways:
                    break
                index -= ways
            chosen.append(place)
            places.remove(place)
            so_far *= counts[place]
        digits = []
        for place in reversed(chosen):
            index, digit = divmod(index, counts[place])
            digits.append((node.options[place], digit))
        return digits[::-1]

    def find(self, node: Lookup, index: int, kept: Mapping[int, str]) -> tuple[Node, int]:
        """The wildcard of a result, and the number in it."""
        for path in self.texts(node.path, kept, MOST_TEXTS):
            count = self.count(node.table[path], kept)
            if index < count:
                return node.table[path], index
            index -= count
        raise AssertionError("a number beyond the count")

    def _measure(self, top: Node, kept: Mapping[int, str]) -> int:
        """Count `top` after its parts; what hangs on kept texts is counted anew each time."""
        local: dict[int, int] = {}

        def of(node: Node) -> int:
            if isinstance(node, str):
                return 1
            return self._counts[id(node)] if id(node) in self._counts else local[id(node)]

        for node in self._bottom_up(top):
            if isinstance(node, str):
                continue
            count = self._count_one(node, of, kept)
            if node.reads or (node is top and kept):
                local[id(node)] = count
            else:
                self._counts[id(node)] = count
                self._alive.append(node)
        return of(top)

    def _bottom_up(self, top: Node) -> Iterator[Node]:
        """The nodes to count, parts before what they are part of; each once."""
        seen: set[int] = set()
        stack: list[tuple[Node, bool]] = [(top, False)]
        while stack:
            node, ready = stack.pop()
            if isinstance(node, str) or id(node) in self._counts:
                continue
            if ready:
                yield node
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                if isinstance(node, Lookup):
                    continue  # its path decides which of its wildcards count
                stack += [(child, False) for child in self._counted(node)]

    def _counted(self, node: Node) -> tuple[Node, ...]:
        """The parts whose counts make up this one's: up to the first kept text that the others read."""
        if isinstance(node, Sequence):
            for at, part in enumerate(node.parts):
                if isinstance(part, Keep) and self.is_read(part, node.parts[at + 1 :]):
                    return node.parts[:at]
        return children(node)

    def _count_one(self, node: Node, of: Callable[[Node], int], kept: Mapping[int, str]) -> int:
        if isinstance(node, Sequence):
            total = 1
            for at, part in enumerate(node.parts):
                if isinstance(part, Keep) and self.is_read(part, node.parts[at + 1 :]):
                    rest = chain(node.parts[at + 1 :])
                    return min(MANY, total * self.count_kept(part, rest, kept))
                total = min(MANY, total * of(part))
            return total
        if isinstance(node, Choice):
            return self._count_choice(node, of)
        if isinstance(node, Keep):
            return of(node.value)
        if isinstance(node, Lookup):
            paths = self.texts(node.path, kept, MOST_TEXTS)
            return min(MANY, sum(self.count(node.table[path], kept) for path in paths))
        if isinstance(node, Wrap):
            return min(MANY, of(node.wrapper) * of(node.inner))
        return 1

    def _count_choice(self, node: Choice, of: Callable[[Node], int]) -> int:
        if not self.is_finite(node):
            return 1
        counts = [of(option) for option in node.options]
        total = 0
        for size in range(node.low, node.high + 1):
            total = min(MANY, total + _arrangements(counts, size))
            if total == MANY:
                break
        if total <= MOST_TEXTS:
            texts = self._all_texts(node)
            if texts is not None:
                self._texts[id(node)] = texts
                return len(texts)
        return total

    def _all_texts(self, node: Choice) -> tuple[str, ...] | None:
        """The different results of a small choice, in order; None where they hang on what is rolled or kept."""
        options = []
        letters = 0
        for option in node.options:
            texts = self._small_texts(option)
            if texts is None:
                return None
            letters += sum(map(len, texts))
            if letters > MOST_LETTERS:
                return None
            options.append(texts)
        picks: dict[tuple[str, ...], bool] = {}
        for size in range(node.low, node.high + 1):
            found: dict[tuple[str, ...], bool] = {}
            for chosen in permutations(options, size):
                for pick in product(*chosen):
                    found[pick] = len(set(pick)) == size
            different = {pick: True for pick, good in found.items() if good}
            picks |= different or found
        return tuple(join_parts(pick, node.separator) for pick in picks)

    def _small_texts(self, node: Node) -> tuple[str, ...] | None:
        if isinstance(node, str):
            return (node,)
        if isinstance(node, Choice):
            return self._texts.get(id(node))
        if isinstance(node, Sequence):
            columns = [self._small_texts(part) for part in node.parts]
            if any(column is None for column in columns):
                return None
            return tuple("".join(parts) for parts in product(*(column for column in columns if column is not None)))
        if isinstance(node, Wrap):
            outer, inner = self._small_texts(node.wrapper), self._small_texts(node.inner)
            if outer is None or inner is None:
                return None
            return tuple(wrap(around, text) for around in outer for text in inner)
        return None


def _arrangements(counts: list[int], size: int) -> int:
    """In how many ways `size` of the options can be put in order, each in as many ways as it counts; at most MANY.

    ``size! x e_size(counts)``, the elementary symmetric polynomial.
    """
    if size > len(counts):
        return 0
    least = 1
    for factor in range(len(counts) - size + 1, len(counts) + 1):
        least *= factor
        if least >= MANY:
            return MANY
    if size == 1:
        return min(MANY, sum(counts))
    if all(count == 1 for count in counts):
        return least
    sums = [1] + [0] * size
    for count in counts:
        for k in range(size, 0, -1):
            sums[k] += sums[k - 1] * count
    total = sums[size]
    for factor in range(2, size + 1):
        total = min(MANY, total * factor)
    return min(MANY, total)
