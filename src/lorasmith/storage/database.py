"""SQLite files: opened, brought up to date, read, changed and complained about in one way.

A file's version is the number of migrations that made it (SQLite's user_version). A newer Lorasmith upgrades older
files; an older one does not touch newer files, unless they may be made anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lorasmith.errors import StorageError


@dataclass(frozen=True)
class Schema:
    """What a kind of file holds. `title` names it in messages ("the queue"); version n is after n `migrations`.

    `hint` says what to do where it cannot be used. `shared`: several processes write it at once (write-ahead log).
    `disposable`: it can be made again, so that a damaged file, or one of a newer version, is begun anew. `checked`:
    it is looked through for damage when it is opened. `seconds`: how long others are waited for.
    """

    title: str
    migrations: tuple[str, ...]
    hint: str
    shared: bool = False
    disposable: bool = False
    checked: bool = False
    seconds: float = 10.0

    def error(self, fault: Exception, file: Path, wanted: str) -> StorageError:
        """What a fault of the disk or of SQLite means for the user; `wanted` is "opened" or "written"."""
        said = fault.strerror if isinstance(fault, OSError) else str(fault)
        return StorageError(f"{self.title} cannot be {wanted}: {said}.", where=file, hint=self.hint)


class Unusable(sqlite3.DatabaseError):
    """The file is damaged, or of a newer version."""


def open_database(file: Path, schema: Schema, *, threads: bool = False) -> sqlite3.Connection:
    """A connection to the file, made or brought up to date; changes are `transaction`s, other statements stand alone.

    With `threads` it may be used by several, one at a time. Raises OSError, sqlite3.Error (see `Schema.error`).
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _opened(file, schema, threads)
    except sqlite3.DatabaseError as fault:
        # Locked, read-only, full: those are OperationalErrors, and no reason to begin anew.
        if not schema.disposable or isinstance(fault, sqlite3.OperationalError):
            raise
        _remove(file)
        return _opened(file, schema, threads)


def memory_database(schema: Schema) -> sqlite3.Connection:
    """The same, in memory only."""
    return _prepared(sqlite3.connect(":memory:", isolation_level=None), schema)


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All changes inside or none of them; nobody else changes the file meanwhile. Raises sqlite3.Error."""
    db.execute("begin immediate")
    try:
        yield db
        db.execute("commit")
    except BaseException:
        if db.in_transaction:  # where the disk is full, SQLite may have rolled back by itself
            db.execute("rollback")
        raise


@contextlib.contextmanager
def changing(file: Path, schema: Schema) -> Iterator[sqlite3.Connection]:
    """One transaction on a file that is opened for it. Raises StorageError."""
    try:
        with contextlib.closing(open_database(file, schema)) as db, transaction(db):
            yield db
    except (OSError, sqlite3.Error) as fault:
        raise schema.error(fault, file, "written") from fault


@contextlib.contextmanager
def reading(file: Path, schema: Schema) -> Iterator[sqlite3.Connection | None]:
    """The file as it is, or None where there is none, or one of a newer version; an older one is upgraded first, and
    else nothing is made by looking. Raises sqlite3.Error for a damaged one."""
    if not file.is_file():
        yield None
        return
    db = _read_only(file, schema)
    try:
        version = _version(db)
        if 0 < version < len(schema.migrations):
            db.close()
            with contextlib.suppress(OSError, sqlite3.OperationalError):
                open_database(file, schema).close()
            db = _read_only(file, schema)
            version = _version(db)
        yield db if version == len(schema.migrations) else None
    finally:
        db.close()


def _read_only(file: Path, schema: Schema) -> sqlite3.Connection:
    address = f"file:{quote(str(file))}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=schema.seconds, isolation_level=None)


def _opened(file: Path, schema: Schema, threads: bool) -> sqlite3.Connection:
    db = sqlite3.connect(file, timeout=schema.seconds, isolation_level=None, check_same_thread=not threads)
    try:
        if schema.shared:
            db.execute("pragma journal_mode = wal")
        db.execute("pragma foreign_keys = on")
        return _prepared(db, schema)
    except BaseException:
        db.close()
        raise


def _prepared(db: sqlite3.Connection, schema: Schema) -> sqlite3.Connection:
    """Check and migrate. All migrations that are due are one transaction, so that an older program never meets half
    of them; who comes second finds them done."""
    newest = len(schema.migrations)
    if _version(db) == newest:
        if schema.checked and db.execute("pragma quick_check(1)").fetchone()[0] != "ok":
            raise Unusable("it is damaged")
        return db
    with transaction(db):
        version = _version(db)
        if version > newest:
            raise Unusable(f"it is of a newer version ({version}, known are {newest})")
        for script in schema.migrations[version:]:
            for statement in _statements(script):
                db.execute(statement)
        db.execute(f"pragma user_version = {newest}")
    return db


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("pragma user_version").fetchone()[0])


def _statements(script: str) -> Sequence[str]:
    """The script's statements; sqlite3's own way to run them all would end the transaction."""
    statements, part = [], ""
    for piece in script.split(";"):
        part += f"{piece};"
        if sqlite3.complete_statement(part):
            statements.append(part)
            part = ""
    return [statement for statement in statements if statement.strip(" \n\t;")]


def _remove(file: Path) -> None:
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm", f"{file.name}-journal"):
        file.with_name(name).unlink(missing_ok=True)
