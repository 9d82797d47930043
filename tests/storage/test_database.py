"""SQLite files: made, upgraded, refused, begun anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from lorasmith.errors import StorageError
from lorasmith.storage.database import Schema, changing, memory_database, open_database, reading, transaction

ONE = "create table word (text text not null); insert into word values ('a;b')"
TWO = """
alter table word add column length integer not null default 0;
create trigger measure after insert on word begin update word set length = length(text); end;
update word set length = length(text)
"""


def schema(*migrations: str, disposable: bool = False, shared: bool = False) -> Schema:
    return Schema("the words", migrations, "Move it away.", disposable=disposable, checked=disposable, shared=shared)


def test_a_file_is_made_and_upgraded_with_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "words.db"
    open_database(file, schema(ONE)).close()
    with closing(open_database(file, schema(ONE, TWO))) as db:
        assert db.execute("select text, length from word").fetchall() == [("a;b", 3)]
        assert db.execute("pragma user_version").fetchone() == (2,)
        with transaction(db):
            db.execute("insert into word (text) values ('longer')")
        assert db.execute("select length from word where text = 'longer'").fetchone() == (6,)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "words.db"
    open_database(file, schema(ONE)).close()
    with pytest.raises(sqlite3.Error):
        open_database(file, schema(ONE, TWO, "create table word (x)"))
    with closing(open_database(file, schema(ONE))) as db:
        assert db.execute("select * from word").fetchall() == [("a;b",)]


def test_many_may_come_first(tmp_path: Path) -> None:
    file = tmp_path / "words.db"
    wrong: list[BaseException] = []

    def come() -> None:
        try:
            open_database(file, schema(ONE, TWO, shared=True)).close()
        except BaseException as fault:
            wrong.append(fault)

    threads = [Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    with closing(open_database(file, schema(ONE, TWO))) as db:
        assert db.execute("select count(*) from word").fetchone() == (1,)


def test_a_newer_file_is_refused_or_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "words.db"
    open_database(file, schema(ONE, TWO)).close()
    words = r"the words cannot be written: it is of a newer version .*Move it away"
    with pytest.raises(StorageError, match=words), changing(file, schema(ONE)):
        raise AssertionError("opened")
    with reading(file, schema(ONE)) as db:
        assert db is None
    with changing(file, schema(ONE, disposable=True)) as db:
        assert db.execute("select * from word").fetchall() == [("a;b",)]


def test_a_damaged_file_is_refused_or_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "words.db"
    file.write_bytes(b"no database at all, but long enough" * 100)
    with pytest.raises(StorageError, match="cannot be written"), changing(file, schema(ONE)):
        raise AssertionError("opened")
    assert file.read_bytes().startswith(b"no database")
    with changing(file, schema(ONE, disposable=True)) as db:
        assert db.execute("select count(*) from word").fetchone() == (1,)


def test_changes_are_all_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / "words.db"

    def fail() -> None:
        with changing(file, schema(ONE)) as db:
            db.execute("delete from word")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with reading(file, schema(ONE)) as db:
        assert db is not None
        assert db.execute("select count(*) from word").fetchone() == (1,)


def test_looking_makes_nothing_and_upgrades_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "words.db"
    with reading(file, schema(ONE)) as db:
        assert db is None
    assert not file.exists()
    open_database(file, schema(ONE)).close()
    with reading(file, schema(ONE, TWO)) as db:
        assert db is not None
        assert db.execute("select length from word").fetchone() == (3,)
        with pytest.raises(sqlite3.OperationalError):
            db.execute("delete from word")


def test_a_database_in_memory() -> None:
    with closing(memory_database(schema(ONE, TWO))) as db:
        assert db.execute("select length from word").fetchone() == (3,)
