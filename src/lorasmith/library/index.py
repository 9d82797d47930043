"""The library's door: folders, scanning, finding, and what a user notes about his files."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Self

from lorasmith.errors import AdapterError, UsageError, near_names
from lorasmith.events import Work
from lorasmith.library import scanning, searching
from lorasmith.library.entry import Filters, HubFacts, LibraryEntry, Page, ScanReport
from lorasmith.library.hashes import Hashes
from lorasmith.library.hashing import hash_pending, keep_hashes
from lorasmith.library.patience import PATIENCE
from lorasmith.library.rows import is_refused, write_told
from lorasmith.library.store import SCHEMA, change_row, drop_row, dump, given_path, marks, read_entries, stored_path
from lorasmith.library.telling import Teller
from lorasmith.library.walking import find_one
from lorasmith.storage.database import open_database, transaction
from lorasmith.storage.files import append_lines
from lorasmith.storage.places import LIBRARY, data_folder

RATINGS = range(1, 6)


class LibraryIndex:
    """What is known of the files in a user's folders, in one SQLite file that several processes may use at once.

    Any thread may call, one at a time is served. Raises StorageError where the file cannot be read or written.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.RLock()
        try:
            self._db = open_database(file, SCHEMA, threads=True)
        except (OSError, sqlite3.Error) as fault:
            raise SCHEMA.error(fault, file, "opened") from fault
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma synchronous = normal")

    @classmethod
    def open(cls, path: Path | None = None) -> Self:
        """The library in this file; the user's own when None, made where there is none yet."""
        return cls(data_folder() / LIBRARY if path is None else path)

    @classmethod
    def existing(cls, path: Path | None = None) -> Self | None:
        """The same, or None where there is none yet."""
        file = data_folder() / LIBRARY if path is None else path
        return cls(file) if file.is_file() else None

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database for questions."""
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as fault:
                raise SCHEMA.error(fault, self.file, "read") from fault

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """The database for one change that happens whole or not at all."""
        with self._lock:
            try:
                with transaction(self._db) as db:
                    yield db
            except (OSError, sqlite3.Error) as fault:
                raise SCHEMA.error(fault, self.file, "written") from fault

    def folders(self) -> list[Path]:
        """The folders that are scanned, in the order in which they came."""
        with self.reading() as db:
            return [given_path(row[0]) for row in db.execute("select path from folders order by id")]

    def add_folder(self, folder: Path) -> Path:
        """Scan this folder from now on, at any depth; one inside of a known one is known already. Gives its whole path.
        Raises UsageError where there is no such folder."""
        whole = folder.expanduser().absolute()
        if not whole.is_dir():
            raise UsageError("no such folder.", where=folder)
        with self.changing() as db:
            known = [given_path(row[0]) for row in db.execute("select path from folders")]
            if not any(whole.is_relative_to(each) for each in known):
                query = "insert into folders (path, added) values (?, ?)"
                number = db.execute(query, (stored_path(whole), time.time())).lastrowid
                for inner in (each for each in known if each.is_relative_to(whole)):
                    old = db.execute("select id from folders where path = ?", (stored_path(inner),)).fetchone()[0]
                    db.execute("update files set folder = ? where folder = ?", (number, old))
                    db.execute("delete from folders where id = ?", (old,))
        return whole

    def scan(self, *, hashes: bool = True, patience: float = PATIENCE, again: bool = False) -> Work[ScanReport]:
        """Look through all folders, then read every file that has no hash yet (`scanning.scan`)."""
        return scanning.scan(self, Teller(), hashes=hashes, patience=patience, again=again)

    def add_file(self, path: Path, hashes: Hashes | None = None) -> LibraryEntry:
        """Take in one file at once, wherever it lies, with its hashes if they are known. Raises AdapterError."""
        whole = path.expanduser().absolute()
        found = find_one(whole)
        if found is None:
            raise AdapterError("no such file.", where=path)
        told = scanning.look_at(found, Teller())
        with self.changing() as db:
            folders = [(row[0], given_path(row[1])) for row in db.execute("select id, path from folders")]
            folder = next((number for number, each in folders if whole.is_relative_to(each)), None)
            number, _ = write_told(db, folder, told)
            if hashes is not None:
                keep_hashes(db, number, found.size, found.stamp, hashes)
            rows = db.execute("select * from entries where id = ?", (number,))
            return read_entries(db, rows)[0]

    def hash_until(self, digits: str) -> Work[list[LibraryEntry]]:
        """The files of which some hash begins so; where none is known to, files that have no hash yet are read until
        one is found."""
        found = self.find_hash(digits)
        if not found:
            yield from hash_pending(self, PATIENCE, digits.lower().removeprefix("0x"))
            found = self.find_hash(digits)
        return found

    def find(self, name: str, kind: str = "adapter") -> list[LibraryEntry]:
        """The files that a name calls: by path, name, recorded name, hash or trigger, the first that calls any."""
        with self.reading() as db:
            return searching.find_files(db, name, kind)

    def near(self, name: str) -> list[LibraryEntry]:
        """Some files whose names are nearly this one."""
        with self.reading() as db:
            known = {
                row[0]: row[1] for row in db.execute("select name, id from files where state = 'here' and refused = 0")
            }
            ids = [known[each] for each in near_names(name, known) if each in known]
            rows = db.execute(f"select * from entries where id in ({marks(ids)})", ids)
            return read_entries(db, rows)

    def unhashed(self) -> int:
        """How many files that are here have no hash yet."""
        with self.reading() as db:
            query = "select count(*) from files where hashed = 0 and state = 'here'"
            return int(db.execute(query).fetchone()[0])

    def find_hash(self, digits: str, kind: str = "") -> list[LibraryEntry]:
        """The files of which some hash begins with these digits (8 or more)."""
        with self.reading() as db:
            return searching.find_hash(db, digits.lower().removeprefix("0x"), kind)

    def entry(self, path: Path) -> LibraryEntry | None:
        """What is known of one file."""
        with self.reading() as db:
            rows = db.execute("select * from entries where path = ?", (stored_path(path.expanduser().absolute()),))
            return next(iter(read_entries(db, rows)), None)

    def entries(
        self, filters: Filters | None = None, offset: int = 0, limit: int = 100, order: str | None = None
    ) -> Page:
        """A page of the entries that are meant, in one of `entry.ORDERS`: by name when None; those of a search by how
        well they fit."""
        with self.reading() as db:
            return searching.search(db, filters or Filters(), offset, limit, order)

    def facets(self) -> dict[str, dict[str, int]]:
        """How many files that are here each value has: kind, family, algorithm, source, collection."""
        with self.reading() as db:
            return searching.facets(db)

    def duplicates(self) -> tuple[list[list[LibraryEntry]], list[list[LibraryEntry]]]:
        """Files that are here more than once, to the byte; and those with the same weights under other headers."""
        with self.reading() as db:
            same = searching.duplicates(db)
            alike = searching.duplicates(db, "payload")
        return same, [group for group in alike if len({entry.sha256 for entry in group}) > 1]

    def every(self, filters: Filters | None = None) -> Iterator[LibraryEntry]:
        """All entries that are meant, page by page."""
        offset = 0
        while True:
            page = self.entries(filters, offset, 500)
            yield from page.entries
            offset += len(page.entries)
            if not page.entries:
                return

    def note(
        self,
        entries: Sequence[LibraryEntry],
        *,
        notes: str | None = None,
        rating: int | None = None,
        favourite: bool | None = None,
    ) -> None:
        """Keep what a user says of files; what is None stays, a rating of 0 is none. Raises UsageError."""
        if rating is not None and rating not in (0, *RATINGS):
            raise UsageError(f"a rating is 1 to 5, or 0 for none, not {rating}.", field="rating")
        with self.changing() as db:
            for entry in entries:
                if notes is not None:
                    change_row(db, entry.id, {"notes": notes})
                    db.execute("update words set notes = ? where rowid = ?", (notes, entry.id))
                if rating is not None:
                    db.execute("update files set rating = ? where id = ?", (rating or None, entry.id))
                if favourite is not None:
                    db.execute("update files set favourite = ? where id = ?", (int(favourite), entry.id))

    def notes(self, name: str) -> str:
        """What was noted of the first file of this name; "" for nothing."""
        return next((entry.notes for entry in self.find(name, kind="")), "")

    def collect(self, collection: str, entries: Sequence[LibraryEntry], out: bool = False) -> None:
        """Put files into a collection, or take them `out` of it."""
        query = (
            "delete from collected where collection = ? and file = ?"
            if out
            else "insert or ignore into collected (collection, file) values (?, ?)"
        )
        with self.changing() as db:
            db.executemany(query, [(collection, entry.id) for entry in entries])

    def collections(self) -> dict[str, int]:
        """How many files each collection has."""
        with self.reading() as db:
            rows = db.execute("select collection, count(*) from collected group by collection order by collection")
            return {row[0]: row[1] for row in rows}

    def set_hub(self, entry: LibraryEntry, hub: HubFacts) -> None:
        """Keep what a hub says of a file."""
        columns = {"hub": dump(asdict(hub)), "source": hub.source, "model_id": hub.model_id}
        columns |= {"version_id": hub.version_id}
        with self.changing() as db:
            change_row(db, entry.id, columns)
            if hub.mature:
                change_row(db, entry.id, {"mature": 1})
            if is_refused((entry.name, entry.alias, entry.title, hub.name, hub.version, *entry.triggers)):
                change_row(db, entry.id, {"refused": 1})
            row = db.execute("select said from words where rowid = ?", (entry.id,)).fetchone()
            more = [each for each in (hub.name, hub.creator) if each and row is not None and each not in row[0]]
            if more:
                db.execute("update words set said = ? where rowid = ?", (" ".join((row[0], *more)), entry.id))

    def forget(self, entries: Sequence[LibraryEntry]) -> Path | None:
        """Drop what is known and noted of files, which stay; a scan finds those that are there again. What a user noted
        is added to `forgotten.jsonl` beside the library; gives that file where there was something."""
        noted = [entry for entry in entries if entry.notes or entry.rating or entry.favourite or entry.collections]
        kept = self.file.with_name("forgotten.jsonl")
        if noted:
            append_lines(kept, [json.dumps(entry.as_json()) for entry in noted])
        with self.changing() as db:
            for entry in entries:
                drop_row(db, entry.id)
        return kept if noted else None

    def forget_folder(self, folder: Path) -> int:
        """Scan a folder no more and drop what is known of its files, which stay. Gives how many; raises UsageError for
        one that is not scanned."""
        whole = stored_path(folder.expanduser().absolute())
        with self.changing() as db:
            row = db.execute("select id from folders where path = ?", (whole,)).fetchone()
            if row is None:
                known = ", ".join(str(given_path(each[0])) for each in db.execute("select path from folders"))
                raise UsageError("is no folder of the library.", where=folder, hint=f"Known: {known or 'none'}.")
            db.execute("delete from words where rowid in (select id from files where folder = ?)", (row[0],))
            count = db.execute("delete from files where folder = ?", (row[0],)).rowcount
            db.execute("delete from folders where id = ?", (row[0],))
            return count
