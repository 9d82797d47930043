"""Tags with their scores, as taggers gave them, in a few arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

WORDS, SCORES = np.dtype("<u4"), np.dtype("<f4")


class ScoredTag(NamedTuple):
    """One tag of one picture: `category` is one of `CATEGORIES`, `score` in 0..1."""

    name: str
    category: int
    score: float


@dataclass(frozen=True)
class StoredTags:
    """What one tagger (`tagger`: its name and hash) said of the picture whose `Item.content` is `sha256`: the hash of
    its file, with the crop where one is decided. The likeliest first."""

    sha256: str
    tagger: str
    tags: Sequence[ScoredTag]


class ScoreTable:
    """All that is stored, as a few arrays: half a million tags are sifted without an object for each.

    `rows`: (sha256, tagger) of every row, the tagger that was used last first; `of`: the rows of a sha256, in that
    order; `numbers`: the tags of all rows one after another, as indices of `names` and `categories`; `scores`: theirs.
    """

    def __init__(self, words: Sequence[tuple[int, str, int]], rows: Sequence[Row]) -> None:
        top = max((number for number, _, _ in words), default=0) + 1
        self.names = [""] * top
        self.categories = np.full(top, -1)
        for number, name, category in words:
            self.names[number] = name
            self.categories[number] = category
        fit = _whole(rows, self.categories)
        self.rows = tuple((sha256, tagger) for sha256, tagger, _, _ in fit)
        self.numbers = np.frombuffer(b"".join(row[2] for row in fit), WORDS)
        self.scores = np.frombuffer(b"".join(row[3] for row in fit), SCORES).astype(np.float64).round(4)
        self._ends = list(itertools.accumulate((len(row[2]) // WORDS.itemsize for row in fit), initial=0))
        self.of: dict[str, tuple[int, ...]] = {}
        for row, (sha256, _) in enumerate(self.rows):
            self.of[sha256] = (*self.of.get(sha256, ()), row)

    def is_as(self, other: ScoreTable) -> bool:
        """Whether the same is stored in both."""
        return (
            self.rows == other.rows
            and self._ends == other._ends
            and np.array_equal(self.numbers, other.numbers)
            and np.array_equal(self.scores, other.scores)
            and self.names == other.names
            and np.array_equal(self.categories, other.categories)
        )

    def sift(self, wanted: npt.NDArray[np.bool_]) -> list[tuple[str, ...]]:
        """By row the names of the tags for which `wanted`, as long as `numbers`, is true."""
        names = list(map(self.names.__getitem__, self.numbers[wanted].tolist()))
        return [tuple(names[start:end]) for start, end in itertools.pairwise(self._bounds(wanted).tolist())]

    def count(self, wanted: npt.NDArray[np.bool_]) -> list[int]:
        """By row the number of tags for which `wanted`, as long as `numbers`, is true."""
        numbers: list[int] = np.diff(self._bounds(wanted)).tolist()
        return numbers

    def _bounds(self, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int_]:
        """How many of the wanted tags come before each row, and how many there are."""
        bounds: npt.NDArray[np.int_] = np.concatenate([[0], np.cumsum(wanted)])[self._ends]
        return bounds

    def words(self) -> Iterator[tuple[str, int]]:
        """(name, category) by number."""
        return zip(self.names, self.categories.tolist(), strict=True)

    def scored(self, row: int) -> Mapping[str, float]:
        """The scores of one row by name, put together when one is asked for."""
        return _Scores(self, row)

    def part(self, row: int) -> slice:
        """Where a row's tags are among all."""
        return slice(self._ends[row], self._ends[row + 1])

    def pairs(self, row: int) -> Iterator[tuple[str, float]]:
        """(name, score) of the tags of one row."""
        part = self.part(row)
        return zip(self._said[part], self._likely[part], strict=True)

    @cached_property
    def _said(self) -> list[str]:
        """The names of the tags of all rows."""
        return list(map(self.names.__getitem__, self.numbers.tolist()))

    @cached_property
    def _likely(self) -> list[float]:
        """Their scores."""
        scores: list[float] = self.scores.tolist()
        return scores

    def kinds(self) -> Mapping[str, Mapping[str, int]]:
        """By tagger, the category of every name in its rows."""
        taggers = {tagger: number for number, tagger in enumerate(dict.fromkeys(tagger for _, tagger in self.rows))}
        owners = np.repeat([taggers[tagger] for _, tagger in self.rows], np.diff(self._ends))
        kinds: dict[str, Mapping[str, int]] = {}
        for tagger, number in taggers.items():
            there = np.zeros(len(self.names), bool)
            there[self.numbers[owners == number]] = True
            numbers = np.flatnonzero(there)
            names = (self.names[number] for number in numbers.tolist())
            kinds[tagger] = dict(zip(names, self.categories[numbers].tolist(), strict=True))
        return kinds

    def tags(self, row: int) -> tuple[ScoredTag, ...]:
        """The tags of one row."""
        part = self.part(row)
        numbers = self.numbers[part]
        names = (self.names[number] for number in numbers.tolist())
        return tuple(map(ScoredTag, names, self.categories[numbers].tolist(), self.scores[part].tolist()))


class _Scores(Mapping[str, float]):
    """The scores of one row of a table: most are never looked at."""

    def __init__(self, table: ScoreTable, row: int) -> None:
        self._table, self._row = table, row

    @cached_property
    def _scores(self) -> Mapping[str, float]:
        return dict(self._table.pairs(self._row))

    def __getitem__(self, name: str) -> float:
        return self._scores[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scores)

    def __len__(self) -> int:
        part = self._table.part(self._row)
        return int(part.stop) - int(part.start)


class RowTags(Sequence[ScoredTag]):
    """The tags of one row of a table, decoded when they are asked for."""

    def __init__(self, table: ScoreTable, row: int) -> None:
        self._table, self._row = table, row

    @cached_property
    def _tags(self) -> tuple[ScoredTag, ...]:
        return self._table.tags(self._row)

    def __len__(self) -> int:
        return len(self._tags)

    def __getitem__(self, index: Any) -> Any:
        return self._tags[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._tags == tuple(other)

    def __hash__(self) -> int:
        return hash(self._tags)


Row = tuple[str, str, bytes, bytes]
"""(sha256, tagger, the tags' numbers, their scores) as it is stored."""


def _whole(rows: Sequence[Row], categories: npt.NDArray[np.int_]) -> list[Row]:
    """The rows that are not damaged; sqlite gives back whatever somebody put in."""
    fit = [row for row in rows if _is_even(row[2], row[3])]
    if not _damaged(b"".join(row[2] for row in fit), b"".join(row[3] for row in fit), categories):
        return fit
    return [row for row in fit if not _damaged(row[2], row[3], categories)]


def _is_even(words: Any, scores: Any) -> bool:
    if not (isinstance(words, bytes) and isinstance(scores, bytes)):
        return False
    return len(words) == len(scores) and len(words) % WORDS.itemsize == 0


def _damaged(words: bytes, scores: bytes, categories: npt.NDArray[np.int_]) -> bool:
    numbers, values = np.frombuffer(words, WORDS), np.frombuffer(scores, SCORES)
    if not np.isfinite(values).all() or (numbers >= len(categories)).any():
        return True
    return bool((categories[numbers] < 0).any())
