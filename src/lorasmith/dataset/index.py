"""What was learnt about files before, so that an unchanged file is never decoded twice.

One sqlite file in the project's cache. It may be deleted at any time; where it cannot be written (a read-only
folder, a full disk) an index in memory takes its place and the work goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lorasmith.storage.database import Schema, memory_database, open_database

FILE_NAME = "index.sqlite"
_SCHEMA = Schema(
    title="the index",
    migrations=(
        """
        create table if not exists known (
            topic text not null, path blob not null, size integer not null, mtime_ns integer not null,
            facts text not null, primary key (topic, path)
        ) without rowid
        """,
    ),
    hint="It may be deleted.",
    disposable=True,
)
_Row = tuple[int, int, str]
_SAVE_EVERY = 5.0  # seconds


class Index:
    """Facts by (topic, file), valid while the file's size and modification time stay as they were.

    Small facts (`known`, `learn`) are read a topic at a time; bytes (`known_bytes`, `learn_bytes`) one by one. `folder`
    is where it lies, or would.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self.folder = folder
        self._connection = connection
        self._writable = True
        self._topics: dict[str, dict[bytes, _Row]] = {}
        self._saved = time.monotonic()

    def known(self, topic: str, path: Path, stat: os.stat_result) -> Any | None:
        """What was stored for the file as it is now; None when nothing was, or the file has changed."""
        row = self._topic(topic).get(os.fsencode(path))
        if row is None or row[:2] != (stat.st_size, stat.st_mtime_ns):
            return None
        return json.loads(row[2])

    def learn(self, topic: str, path: Path, stat: os.stat_result, facts: Any) -> None:
        """Store JSON-ready facts of a file; a disk that refuses them is no fault, only a slower next time."""
        text = json.dumps(facts)
        self._topic(topic)[os.fsencode(path)] = (stat.st_size, stat.st_mtime_ns, text)
        self._write(topic, path, stat, text)

    def known_bytes(self, topic: str, path: Path, stat: os.stat_result) -> bytes | None:
        """Like `known`, for a topic of `learn_bytes`."""
        try:
            row = self._connection.execute(
                "select facts from known where topic = ? and path = ? and size = ? and mtime_ns = ?",
                (topic, os.fsencode(path), stat.st_size, stat.st_mtime_ns),
            ).fetchone()
        except sqlite3.Error:
            return None
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def learn_bytes(self, topic: str, path: Path, stat: os.stat_result, facts: bytes) -> None:
        """Like `learn`; a topic holds either facts or bytes."""
        self._write(topic, path, stat, facts)

    def save(self) -> None:
        """Keep what was learnt so far, whatever happens next; costs little when called once in a while."""
        if time.monotonic() - self._saved >= _SAVE_EVERY and self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.commit()
            self._saved = time.monotonic()

    def recall(self, topic: str, key: str) -> Any | None:
        """What was kept by `keep` under this key."""
        row = self._topic(topic).get(key.encode())
        return None if row is None else json.loads(row[2])

    def keep(self, topic: str, key: str, facts: Any) -> None:
        """Store JSON-ready facts that belong to no file, in the place of all others of the topic."""
        text = json.dumps(facts)
        self._topics[topic] = {key.encode(): (0, 0, text)}
        self._execute("delete from known where topic = ?", (topic,))
        self._execute("insert into known values (?, ?, ?, ?, ?)", (topic, key.encode(), 0, 0, text))

    def _topic(self, topic: str) -> dict[bytes, _Row]:
        """All rows of a topic, read once."""
        if topic not in self._topics:
            try:
                query = "select path, size, mtime_ns, facts from known where topic = ?"
                rows = self._connection.execute(query, (topic,))
                self._topics[topic] = {path: (size, mtime, facts) for path, size, mtime, facts in rows}
            except sqlite3.Error:
                self._topics[topic] = {}
        return self._topics[topic]

    def _write(self, topic: str, path: Path, stat: os.stat_result, facts: str | bytes) -> None:
        row = (topic, os.fsencode(path), stat.st_size, stat.st_mtime_ns, facts)
        self._execute("insert or replace into known values (?, ?, ?, ?, ?)", row)

    def _execute(self, statement: str, values: tuple[object, ...]) -> None:
        if not self._writable:
            return
        try:
            if not self._connection.in_transaction:  # all that one block learns is saved at once
                self._connection.execute("begin")
            self._connection.execute(statement, values)
        except sqlite3.Error:
            self._writable = False


@contextmanager
def open_index(folder: Path) -> Iterator[Index]:
    """The index in `folder`, saved when the block is left, in whatever way."""
    connection = _connect(folder)
    try:
        yield Index(connection, folder)
    finally:
        try:
            connection.commit()
        except sqlite3.Error:
            connection.rollback()
        connection.close()


def _connect(folder: Path) -> sqlite3.Connection:
    try:
        return open_database(folder / FILE_NAME, _SCHEMA)
    except (OSError, sqlite3.Error):
        return memory_database(_SCHEMA)
