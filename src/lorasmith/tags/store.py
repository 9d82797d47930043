"""Raw tags with their scores, as the taggers gave them: kept for every picture and every tagger, never edited (T13).

One sqlite file in the project's cache, so that ten thousand pictures are read in a blink. It may be deleted or
damaged: what was in it is made again by tagging again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from lorasmith.project import Project
from lorasmith.storage.database import Schema, changing, reading
from lorasmith.tags.scores import SCORES, WORDS, RowTags, ScoreTable, StoredTags

FILE_NAME = "tags.sqlite"
_SCHEMA = Schema(
    title="the tags",
    migrations=(
        """
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
        create table if not exists captioner (
            id integer primary key, command text not null unique, used integer not null
        );
        create table if not exists sentence (
            sha256 text not null, captioner integer not null, text text not null, primary key (sha256, captioner)
        ) without rowid;
        """,
    ),
    hint="Free some space, then run it again.",
    disposable=True,
    checked=True,
)


def read_scores(project: Project) -> ScoreTable:
    """All stored tags. A store that is missing or damaged, or a damaged row, counts as not tagged yet."""
    try:
        with _reading(project) as connection:
            if connection is not None:
                words = connection.execute("select id, name, category from word").fetchall()
                rows = connection.execute(
                    "select sha256, identity, scored.words, scores from scored"
                    " join tagger on tagger.id = scored.tagger order by tagger.used desc"
                ).fetchall()
                return ScoreTable(words, rows)
    except sqlite3.Error:
        pass
    return ScoreTable((), ())


def read_stored(project: Project) -> Mapping[str, tuple[StoredTags, ...]]:
    """Stored tags by the pictures' sha256; of several taggers, the one that was used last comes first."""
    table = read_scores(project)
    return {
        sha256: tuple(StoredTags(*table.rows[row], RowTags(table, row)) for row in rows)
        for sha256, rows in table.of.items()
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
            numbers = np.frombuffer(blob, WORDS).tolist()
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
            words = np.array([numbers.of(tag.name, tag.category) for tag in tags], WORDS)
            scores = np.array([tag.score for tag in tags], SCORES)
            connection.execute(
                "insert or replace into scored values (?, ?, ?, ?)",
                (stored.sha256, taggers[stored.tagger], words.tobytes(), scores.tobytes()),
            )


def store_tagger(project: Project, identity: str, vocabulary: Sequence[tuple[str, int]]) -> None:
    """Note that this tagger is in use now, and the (name, category) of all the tags it knows. Raises StorageError."""
    with _writing(project) as connection:
        numbers = _Numbers(connection)
        words = np.array([numbers.of(name, category) for name, category in vocabulary], WORDS)
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


def _reading(project: Project) -> AbstractContextManager[sqlite3.Connection | None]:
    return reading(_file(project), _SCHEMA)


def _writing(project: Project) -> AbstractContextManager[sqlite3.Connection]:
    return changing(_file(project), _SCHEMA)


def _file(project: Project) -> Path:
    return project.cache / FILE_NAME
