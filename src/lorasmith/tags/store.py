"""Raw tags with their scores, as the taggers gave them: kept for every picture and every tagger, never edited (T13).

One sqlite file in the project's cache, so that ten thousand pictures are read in a blink. It may be deleted or
damaged: what was in it is made again by tagging again.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

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


class StoredTags(NamedTuple):
    """What one tagger (`tagger`: its name and hash) said of the file with this sha256, as it came."""

    sha256: str
    tagger: str
    tags: tuple[ScoredTag, ...]


def read_stored(project: Project) -> Mapping[str, tuple[StoredTags, ...]]:
    """Stored tags by the pictures' sha256; of several taggers, the one that was used last comes first.

    A store that is missing or damaged, or a damaged row, counts as not tagged yet.
    """
    try:
        with _reading(project) as connection:
            if connection is None:
                return {}
            words = dict[int, tuple[str, int]](
                (number, (name, category))
                for number, name, category in connection.execute("select id, name, category from word")
            )
            rows = connection.execute(
                "select sha256, identity, scored.words, scores from scored join tagger on tagger.id = scored.tagger"
                " order by tagger.used desc"
            ).fetchall()
    except sqlite3.Error:
        return {}
    return _gather(rows, words)


def read_vocabulary(project: Project, tagger: str = "") -> Mapping[str, int]:
    """Category by name for all the tags that a tagger knows: the one called `tagger`, else the one used last.

    Empty when there is none.
    """
    try:
        with _reading(project) as connection:
            if connection is None:
                return {}
            known = connection.execute("select identity, words from tagger order by used desc").fetchall()
            blob = next((words for identity, words in known if not tagger or is_called(identity, tagger)), b"")
            numbers = set(np.frombuffer(blob, _WORDS).tolist())
            words = connection.execute("select id, name, category from word").fetchall()
    except (sqlite3.Error, ValueError):
        return {}
    return {name: category for number, name, category in words if number in numbers}


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
            words = np.array([numbers.of(tag.name, tag.category) for tag in stored.tags], _WORDS)
            scores = np.array([tag.score for tag in stored.tags], _SCORES)
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


def _gather(
    rows: list[tuple[str, str, bytes, bytes]], words: Mapping[int, tuple[str, int]]
) -> dict[str, tuple[StoredTags, ...]]:
    """Decode all rows in one go; a row whose parts do not fit is left out."""
    fit = [row for row in rows if _fits(row[2], row[3])]
    numbers = np.frombuffer(b"".join(row[2] for row in fit), _WORDS)
    scores = np.frombuffer(b"".join(row[3] for row in fit), _SCORES).astype(np.float64).round(4).tolist()
    lost = ("", -1)
    pairs = [words.get(number, lost) for number in numbers.tolist()]
    tags = [ScoredTag(name, category, score) for (name, category), score in zip(pairs, scores, strict=True)]
    found: dict[str, tuple[StoredTags, ...]] = {}
    ends = itertools.accumulate(len(row[2]) // _WORDS.itemsize for row in fit)
    start = 0
    for (sha256, tagger, _, _), end in zip(fit, ends, strict=True):
        if lost not in pairs[start:end]:
            found[sha256] = (*found.get(sha256, ()), StoredTags(sha256, tagger, tuple(tags[start:end])))
        start = end
    return found


def _fits(words: Any, scores: Any) -> bool:
    """Whether the two blobs of a row are as long as each other; sqlite gives back whatever somebody put in."""
    if not (isinstance(words, bytes) and isinstance(scores, bytes)):
        return False
    return len(words) == len(scores) and len(words) % _WORDS.itemsize == 0


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
