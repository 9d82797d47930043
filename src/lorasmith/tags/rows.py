"""The tags of many images as a few arrays of numbers, so that a rule works on all images at once."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

from lorasmith.tags.words import tag_key

Tags = tuple[str, ...]
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class _Named(dict[str, int]):
    """A number for each text, given when it is first asked for; `texts` by number."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self.texts)
        self.texts.append(text)
        return number


class TagNumbers:
    """A number for each distinct tag, and one for each distinct `tag_key`, from 0 on."""

    def __init__(self) -> None:
        self._tags, self._keys = _Named(), _Named()
        self._key_of: Numbers = np.zeros(0, np.int64)

    def of(self, tags: Iterable[str]) -> Numbers:
        """The numbers of the tags; new ones get the next."""
        return np.fromiter(map(self._tags.__getitem__, tags), np.int64)

    @property
    def texts(self) -> list[str]:
        """The tags by their numbers."""
        return self._tags.texts

    @property
    def key_texts(self) -> list[str]:
        """The `tag_key`s by their numbers."""
        self._number_keys()
        return self._keys.texts

    @property
    def keys(self) -> Numbers:
        """By tag number the number of its key."""
        self._number_keys()
        return self._key_of

    def _number_keys(self) -> None:
        """Give the keys of new tags their numbers."""
        fresh = self.texts[len(self._key_of) :]
        if fresh:
            numbers = np.array([self._keys[tag_key(tag)] for tag in fresh], np.int64)
            self._key_of = np.concatenate((self._key_of, numbers))


@dataclass(frozen=True, eq=False)
class TagRows:
    """The tags of images, a row each: `tags` are the numbers of all rows' tags one after another, `counts` how many
    there are in each row."""

    numbers: TagNumbers
    tags: Numbers
    counts: Numbers

    @classmethod
    def of(cls, numbers: TagNumbers, rows: Sequence[Tags]) -> TagRows:
        """The rows of the images' tags."""
        counts = np.fromiter(map(len, rows), np.int64, len(rows))
        return cls(numbers, numbers.of(chain.from_iterable(rows)), counts)

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def ends(self) -> Numbers:
        """Where each row begins in `tags`, and where the last one ends: one more than there are rows."""
        ends: Numbers = np.concatenate(([0], np.cumsum(self.counts)))
        return ends

    @cached_property
    def owners(self) -> Numbers:
        """By tag the number of its row."""
        owners: Numbers = np.repeat(np.arange(len(self)), self.counts)
        return owners

    @cached_property
    def keys(self) -> Numbers:
        """By tag the number of its key."""
        keys: Numbers = self.numbers.keys[self.tags]
        return keys

    @cached_property
    def present(self) -> list[int]:
        """The numbers of the tags that stand in any row."""
        there = np.zeros(len(self.numbers.texts), bool)
        there[self.tags] = True
        numbers: list[int] = np.flatnonzero(there).tolist()
        return numbers

    def find(self, test: Callable[[str], bool]) -> Mask:
        """By tag whether `test` is true of its text; each distinct one is asked once."""
        texts, wanted = self.numbers.texts, np.zeros(len(self.numbers.texts), bool)
        wanted[[number for number in self.present if test(texts[number])]] = True
        found: Mask = wanted[self.tags]
        return found

    def find_keys(self, keys: Container[str]) -> Mask:
        """By tag whether its key is one of `keys`."""
        found: Mask = np.array([key in keys for key in self.numbers.key_texts], bool)[self.keys]
        return found

    def find_texts(self, texts: Container[str]) -> Mask:
        """By tag whether it is one of `texts`, in just this spelling."""
        return self.find(texts.__contains__)

    def count_keys(self) -> dict[str, int]:
        """By key in how many rows it stands."""
        many = len(self.numbers.key_texts) + 1
        counts = np.bincount(distinct(self.owners * many + self.keys) % many)
        texts = self.numbers.key_texts
        return {texts[number]: int(counts[number]) for number in np.flatnonzero(counts).tolist()}

    def linked(self, links: Mapping[str, Sequence[int]]) -> tuple[Numbers, Numbers]:
        """(row, link) for each link of each tag: `links` are by key."""
        found = [links.get(key, ()) for key in self.numbers.key_texts]
        counts = np.fromiter(map(len, found), np.int64, len(found))
        starts, flat = np.cumsum(counts) - counts, np.fromiter(chain.from_iterable(found), np.int64)
        places = np.flatnonzero(counts[self.keys])
        keys = self.keys[places]
        many = counts[keys]
        inside = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
        return np.repeat(self.owners[places], many), flat[np.repeat(starts[keys], many) + inside]

    def with_any(self, wanted: Mask) -> Mask:
        """By row whether any of its tags is `wanted`, a mask by tag."""
        return self.of_rows(self.owners[wanted])

    def of_rows(self, rows: Numbers) -> Mask:
        """By row whether it is one of these."""
        found = np.zeros(len(self), bool)
        found[rows] = True
        return found

    def repeating(self, numbers: Numbers) -> Mask:
        """By row whether two of its tags have the same one of `numbers`, which are by tag."""
        most = int(numbers.max(initial=0)) + 1
        pairs = np.sort(self.owners * most + numbers)
        return self.of_rows(pairs[1:][pairs[1:] == pairs[:-1]] // most)

    def firsts(self, wanted: Mask, numbers: Numbers) -> Mask:
        """By tag whether it is `wanted` and of the wanted ones of its row the first with its one of `numbers`."""
        places = np.flatnonzero(wanted)
        pairs = self.owners[places] * (int(numbers.max(initial=0)) + 1) + numbers[places]
        found = np.zeros(len(self.tags), bool)
        found[places[np.unique(pairs, return_index=True)[1]]] = True
        return found

    def renamed(self, became: Mapping[int, str | None]) -> TagRows:
        """The rows with other tags for some, by number; None drops one."""
        if not became:
            return self
        names = [name for name in became.values() if name is not None]
        new = dict(zip(names, self.numbers.of(names).tolist(), strict=True))
        numbers = np.arange(len(self.numbers.texts))
        numbers[list(became)] = [-1 if name is None else new[name] for name in became.values()]
        return self.changed(numbers[self.tags])

    def changed(self, tags: Numbers) -> TagRows:
        """The rows with other tags in the same places; -1 where one is dropped."""
        kept = tags >= 0
        if kept.all():
            return TagRows(self.numbers, tags, self.counts)
        counts = np.bincount(self.owners[kept], minlength=len(self))
        return TagRows(self.numbers, tags[kept], counts)

    def kept(self, wanted: Mask) -> TagRows:
        """The rows with the `wanted` tags alone, a mask by tag."""
        return self if wanted.all() else self.changed(np.where(wanted, self.tags, -1))

    def joined(self, front: Tags, where: Mask) -> TagRows:
        """The rows with `front` before the tags of those of `where`."""
        return self._beside(front, where, self.ends[:-1])

    def appended(self, tags: Tags, where: Mask) -> TagRows:
        """The rows with `tags` behind the tags of those of `where`."""
        return self._beside(tags, where, self.ends[1:])

    def _beside(self, tags: Tags, where: Mask, places: Numbers) -> TagRows:
        rows, new = np.flatnonzero(where), self.numbers.of(tags)
        if not len(rows) or not len(new):
            return self
        joined = np.insert(self.tags, np.repeat(places[rows], len(new)), np.tile(new, len(rows)))
        return TagRows(self.numbers, joined, self.counts + len(new) * where)

    def sorted_by(self, place: Mapping[int, int]) -> TagRows:
        """The rows with their tags by `place` (0 or more, by tag number); what is alike in it keeps its order."""
        if not len(self.tags):
            return self
        places = np.zeros(len(self.numbers.texts), np.int64)
        places[list(place)] = list(place.values())
        longest, most = int(self.counts.max()), int(places.max()) + 1
        inside = np.arange(len(self.tags)) - self.ends[self.owners]
        order = np.sort((self.owners * most + places[self.tags]) * longest + inside) % longest
        return TagRows(self.numbers, self.tags[self.ends[self.owners] + order], self.counts)

    def taken(self, rows: Numbers) -> TagRows:
        """Some of the rows, in this order."""
        counts = self.counts[rows]
        inside = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return TagRows(self.numbers, self.tags[np.repeat(self.ends[:-1][rows], counts) + inside], counts)

    def replaced(self, rows: Mapping[int, Tags]) -> TagRows:
        """The rows with other tags in some of them, by row."""
        if not rows:
            return self
        changed, counts = np.fromiter(rows, np.int64, len(rows)), self.counts.copy()
        counts[changed] = [len(tags) for tags in rows.values()]
        after = TagRows(self.numbers, np.empty(int(counts.sum()), np.int64), counts)
        old, new = np.ones(len(self), bool), np.zeros(len(self), bool)
        old[changed], new[changed] = False, True
        after.tags[old[after.owners]] = self.tags[old[self.owners]]
        in_order = chain.from_iterable(rows[row] for row in sorted(rows))
        after.tags[new[after.owners]] = self.numbers.of(in_order)
        return after

    def count_differing(self, other: TagRows) -> int:
        """How many rows have other tags in `other`."""
        if other is self:
            return 0
        same = self.counts == other.counts
        if same.all():
            return int(np.count_nonzero(self.of_rows(self.owners[self.tags != other.tags])))
        here, there = same[self.owners], same[other.owners]
        differing = ~same
        differing[self.owners[here][self.tags[here] != other.tags[there]]] = True
        return int(np.count_nonzero(differing))

    def row(self, number: int) -> Tags:
        """The tags of one row."""
        part = self.tags[self.ends[number] : self.ends[number + 1]]
        return tuple(map(self.numbers.texts.__getitem__, part.tolist()))

    def distinct_tags(self) -> list[str]:
        """Every tag that stands in any row, once."""
        return [self.numbers.texts[number] for number in self.present]

    def all_tags(self) -> list[list[str]]:
        """The tags of every row."""
        said = list(map(self.numbers.texts.__getitem__, self.tags.tolist()))
        return [said[start:end] for start, end in pairwise(self.ends.tolist())]


def distinct(numbers: Numbers) -> Numbers:
    """Each once, in order. Sorting is much faster than numpy's way by hashes where most are distinct."""
    ordered = np.sort(numbers)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))[: len(ordered)]]


def common(numbers: Numbers, others: Numbers) -> Numbers:
    """What is in both, each once, in order."""
    both = np.sort(np.concatenate((distinct(numbers), distinct(others))))
    found: Numbers = both[1:][both[1:] == both[:-1]]
    return found
