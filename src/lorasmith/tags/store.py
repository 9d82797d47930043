"""Raw tags with their scores, as the taggers gave them: kept for every picture and every tagger, never edited (T13).

One sqlite file in the project's cache, so that ten thousand pictures are read in a blink. It may be deleted or
damaged: what was in it is made again by tagging again.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from lorasmith.errors import StorageError
from lorasmith.project import Project

FILE_NAME = "tags.sqlite"
GENERAL, ARTIST, COPYRIGHT, CHARACTER, META, RATING, QUALITY, MODEL = 0, 1, 3, 4, 5, 9, 10, 11
CATEGORIES: Mapping[str, int] = {
    "general": GENERAL,
    "artist": ARTIST,
    "copyright": COPYRIGHT,
    "character": CHARACTER,
    "meta": META,
    "rating": RATING,
    "quality": QUALITY,
    "model": MODEL,
}
"""Kinds of tags by their names. Numbers up to 9 are those of public tag lists; quality and model are our own."""

_VERSION = 1
_TABLES = """
create table if not exists tagger (
    id integer primary key, identity text not null unique, used integer not null, words blob not null
);
create table if not exists word (
    id integer primary key, name text not null, category integer not null, unique (name, category)
);
create table if not exists scored (
    sha256 text not null, tagger integer not null, words blob not null, scores blob not null,
    primary key (sha256, tagger)
) without rowid;
create table if not exists captioner (id integer primary key, command text not null unique, used integer not null);
create table if not exists sentence (
    sha256 text not null, captioner integer not null, text text not null, primary key (sha256, captioner)
) without rowid;
"""
_WORDS, _SCORES = np.dtype("<u4"), np.dtype("<f4")


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


class Shelf:
    """All that is stored, as a few arrays: half a million tags are sifted without an object for each.

    `rows`: (sha256, tagger) of every row, the tagger that was used last first; `of`: the rows of a sha256, in that
    order; `numbers`: the tags of all rows one after another, as indices of `names` and `categories`; `scores`: theirs.
    """

    def __init__(self, words: Sequence[tuple[int, str, int]], rows: Sequence[_Row]) -> None:
        top = max((number for number, _, _ in words), default=0) + 1
        self.names = [""] * top
        self.categories = np.full(top, -1)
        for number, name, category in words:
            self.names[number] = name
            self.categories[number] = category
        fit = _whole(rows, self.categories)
        self.rows = tuple((sha256, tagger) for sha256, tagger, _, _ in fit)
        self.numbers = np.frombuffer(b"".join(row[2] for row in fit), _WORDS)
        self.scores = np.frombuffer(b"".join(row[3] for row in fit), _SCORES).astype(np.float64).round(4)
        self._ends = list(itertools.accumulate((len(row[2]) // _WORDS.itemsize for row in fit), initial=0))
        self.of: dict[str, tuple[int, ...]] = {}
        for row, (sha256, _) in enumerate(self.rows):
            self.of[sha256] = (*self.of.get(sha256, ()), row)

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
        owners: dict[str, list[int]] = {}
        for row, (_, tagger) in enumerate(self.rows):
            owners.setdefault(tagger, []).append(row)
        kinds: dict[str, Mapping[str, int]] = {}
        for tagger, rows in owners.items():
            numbers = np.unique(np.concatenate([self.numbers[self._ends[row] : self._ends[row + 1]] for row in rows]))
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
    """The scores of one row of a shelf: most are never looked at."""

    def __init__(self, shelf: Shelf, row: int) -> None:
        self._shelf, self._row = shelf, row

    @cached_property
    def _scores(self) -> Mapping[str, float]:
        return dict(self._shelf.pairs(self._row))

    def __getitem__(self, name: str) -> float:
        return self._scores[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scores)

    def __len__(self) -> int:
        part = self._shelf.part(self._row)
        return int(part.stop) - int(part.start)


class _RowTags(Sequence[ScoredTag]):
    """The tags of one row of a shelf, decoded when they are asked for."""

    def __init__(self, shelf: Shelf, row: int) -> None:
        self._shelf, self._row = shelf, row

    @cached_property
    def _tags(self) -> tuple[ScoredTag, ...]:
        return self._shelf.tags(self._row)

    def __len__(self) -> int:
        return len(self._tags)

    def __getitem__(self, index: Any) -> Any:
        return self._tags[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._tags == tuple(other)

    def __hash__(self) -> int:
        return hash(self._tags)


def read_shelf(project: Project) -> Shelf:
    """All stored tags. A store that is missing or damaged, or a damaged row, counts as not tagged yet."""
    try:
        with _reading(project) as connection:
            if connection is not None:
                words = connection.execute("select id, name, category from word").fetchall()
                rows = connection.execute(
                    "select sha256, identity, scored.words, scores from scored"
                    " join tagger on tagger.id = scored.tagger order by tagger.used desc"
                ).fetchall()
                return Shelf(words, rows)
    except sqlite3.Error:
        pass
    return Shelf((), ())


def read_stored(project: Project) -> Mapping[str, tuple[StoredTags, ...]]:
    """Stored tags by the pictures' sha256; of several taggers, the one that was used last comes first."""
    shelf = read_shelf(project)
    return {
        sha256: tuple(StoredTags(*shelf.rows[row], _RowTags(shelf, row)) for row in rows)
        for sha256, rows in shelf.of.items()
    }


def read_vocabulary(project: Project, tagger: str = "") -> Mapping[str, int]:
    """Category by name for all the tags that a tagger knows, in its order: the one called `tagger`, else the one used
    last.

    Empty when there is none.
    """
    try:
        with _reading(project) as connection:
            if connection is None:
                return {}
            known = connection.execute("select identity, words from tagger order by used desc").fetchall()
            blob = next((words for identity, words in known if not tagger or is_called(identity, tagger)), b"")
            numbers = np.frombuffer(blob, _WORDS).tolist()
            rows = connection.execute("select id, name, category from word").fetchall()
    except (sqlite3.Error, ValueError):
        return {}
    words = {number: (name, category) for number, name, category in rows}
    return dict(words[number] for number in numbers if number in words)


def read_sentences(project: Project, command: str = "") -> Mapping[str, str]:
    """Captions in sentences by the pictures' sha256, as captioning programs gave them.

    Those of `command` only, or of all commands, the last used one's where there are several.
    """
    try:
        with _reading(project) as connection:
            if connection is None:
                return {}
            rows = connection.execute(
                "select sha256, command, text from sentence join captioner on captioner.id = captioner order by used"
            ).fetchall()
    except sqlite3.Error:
        return {}
    return {sha256: text for sha256, made_by, text in rows if not command or made_by == command}


def store(project: Project, new: Iterable[StoredTags]) -> None:
    """Keep tags, in the place of those of the same picture and tagger. Raises StorageError."""
    with _writing(project) as connection:
        numbers = _Numbers(connection)
        taggers: dict[str, int] = {}
        for stored in new:
            if stored.tagger not in taggers:
                taggers[stored.tagger] = _number_of(connection, "tagger", "identity", stored.tagger)
            tags = sorted(stored.tags, key=lambda tag: -tag.score)
            words = np.array([numbers.of(tag.name, tag.category) for tag in tags], _WORDS)
            scores = np.array([tag.score for tag in tags], _SCORES)
            connection.execute(
                "insert or replace into scored values (?, ?, ?, ?)",
                (stored.sha256, taggers[stored.tagger], words.tobytes(), scores.tobytes()),
            )


def store_tagger(project: Project, identity: str, vocabulary: Sequence[tuple[str, int]]) -> None:
    """Note that this tagger is in use now, and the (name, category) of all the tags it knows. Raises StorageError."""
    with _writing(project) as connection:
        numbers = _Numbers(connection)
        words = np.array([numbers.of(name, category) for name, category in vocabulary], _WORDS)
        number = _number_of(connection, "tagger", "identity", identity)
        connection.execute("update tagger set words = ? where id = ?", (words.tobytes(), number))
        _use(connection, "tagger", number)


def store_sentences(project: Project, command: str, new: Mapping[str, str]) -> None:
    """Keep captions that `command` gave, by sha256, and note that it is in use now. Raises StorageError."""
    with _writing(project) as connection:
        number = _number_of(connection, "captioner", "command", command)
        _use(connection, "captioner", number)
        rows = ((sha256, number, text) for sha256, text in new.items())
        connection.executemany("insert or replace into sentence values (?, ?, ?)", rows)


def is_called(identity: str, name: str) -> bool:
    """Whether a tagger or import is meant by `name`: its identity, without its hash, or the last part of that."""
    full = identity.casefold()
    bare = full.rpartition(" ")[0] or full
    return name.casefold() in (full, bare, bare.rpartition("/")[2])


_Row = tuple[str, str, bytes, bytes]


def _whole(rows: Sequence[_Row], categories: npt.NDArray[np.int_]) -> list[_Row]:
    """The rows that are not damaged; sqlite gives back whatever somebody put in."""
    fit = [row for row in rows if _is_even(row[2], row[3])]
    if not _damaged(b"".join(row[2] for row in fit), b"".join(row[3] for row in fit), categories):
        return fit
    return [row for row in fit if not _damaged(row[2], row[3], categories)]


def _is_even(words: Any, scores: Any) -> bool:
    if not (isinstance(words, bytes) and isinstance(scores, bytes)):
        return False
    return len(words) == len(scores) and len(words) % _WORDS.itemsize == 0


def _damaged(words: bytes, scores: bytes, categories: npt.NDArray[np.int_]) -> bool:
    numbers, values = np.frombuffer(words, _WORDS), np.frombuffer(scores, _SCORES)
    if not np.isfinite(values).all() or (numbers >= len(categories)).any():
        return True
    return bool((categories[numbers] < 0).any())


class _Numbers:
    """The words' numbers; a new word gets the next one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        rows = connection.execute("select name, category, id from word")
        self._known = {(name, category): number for name, category, number in rows}

    def of(self, name: str, category: int) -> int:
        number: int | None = self._known.get((name, category))
        if number is None:
            cursor = self._connection.execute("insert into word (name, category) values (?, ?)", (name, category))
            number = self._known[name, category] = int(cursor.lastrowid or 0)
        return number


def _number_of(connection: sqlite3.Connection, table: str, column: str, value: str) -> int:
    """The row of `value`, made when it is new."""
    row = connection.execute(f"select id from {table} where {column} = ?", (value,)).fetchone()
    if row is not None:
        return int(row[0])
    blank = ", words" if table == "tagger" else ""
    cursor = connection.execute(
        f"insert into {table} ({column}, used{blank}) values (?, 0{', ?' if blank else ''})",
        (value, b"") if blank else (value,),
    )
    number = int(cursor.lastrowid or 0)
    _use(connection, table, number)
    return number


def _use(connection: sqlite3.Connection, table: str, number: int) -> None:
    """Make it the one that was used last."""
    connection.execute(f"update {table} set used = (select max(used) + 1 from {table}) where id = ?", (number,))


@contextmanager
def _reading(project: Project) -> Iterator[sqlite3.Connection | None]:
    """The store as it is, or None; nothing is made by looking."""
    file = _file(project)
    if not file.is_file():
        yield None
        return
    connection = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=10)
    try:
        is_ours = connection.execute("pragma user_version").fetchone()[0] == _VERSION
        yield connection if is_ours else None
    finally:
        connection.close()


@contextmanager
def _writing(project: Project) -> Iterator[sqlite3.Connection]:
    """The store for writing, all or nothing; begun anew when it is damaged or of another version."""
    file = _file(project)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = _opened(file)
        try:
            with connection:
                yield connection
        finally:
            connection.close()
    except (OSError, sqlite3.Error) as fault:
        said = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise StorageError(
            f"the tags cannot be written: {said}.", where=file, hint="Free some space, then run it again."
        ) from fault


def _opened(file: Path) -> sqlite3.Connection:
    try:
        return _prepared(file)
    except sqlite3.DatabaseError as fault:
        if isinstance(fault, sqlite3.OperationalError):  # locked, read-only or full: no reason to begin anew
            raise
        file.unlink(missing_ok=True)
        return _prepared(file)


def _prepared(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=10)
    try:
        version = connection.execute("pragma user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"version {version}")
        if version == 0:
            connection.executescript(f"begin immediate; {_TABLES} pragma user_version = {_VERSION}; commit;")
        elif connection.execute("pragma quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("damaged")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _file(project: Project) -> Path:
    return project.cache / FILE_NAME
