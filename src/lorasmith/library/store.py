"""The library's SQLite file: its tables, and how a row becomes an entry."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lorasmith.library.entry import HubFacts, LibraryEntry
from lorasmith.storage.database import Schema
from lorasmith.storage.places import HOME_VARIABLE

SCHEMA = Schema(
    title="the library",
    migrations=(
        """
        create table folders (
          id integer primary key,
          path blob not null unique,
          added real not null,
          seen real,
          problem text not null default ''
        );
        create table files (
          id integer primary key,
          path blob not null unique,
          folder integer references folders (id),
          name text not null,
          kind text not null default 'other',
          state text not null default 'here',
          size integer not null,
          stamp integer not null,
          beside text not null default '',
          added real not null,
          alias text not null default '',
          family text,
          algorithms text not null default '[]',
          rank integer,
          source text not null default '',
          rating integer,
          favourite integer not null default 0,
          mine integer not null default 0,
          mature integer not null default 0,
          broken integer not null default 0,
          refused integer not null default 0,
          hashed integer not null default 0,
          claimed real not null default 0
        );
        create index files_by_name on files (kind, state, refused, name collate nocase);
        create index files_by_family on files (family, kind, state, refused, name collate nocase);
        create index files_by_added on files (kind, state, refused, added);
        create index files_by_stamp on files (kind, state, refused, stamp);
        create index files_by_size on files (kind, state, refused, size);
        create index files_by_folder on files (folder);
        create index files_called on files (name);
        create index files_by_alias on files (alias) where alias <> '';
        create index files_by_source on files (source, kind, state, refused, name collate nocase) where source <> '';
        create index files_rated on files (kind, state, refused, name collate nocase, rating) where rating is not null;
        create index files_favourite on files (kind, state, refused, name collate nocase) where favourite = 1;
        create index files_mine on files (kind, state, refused, name collate nocase) where mine = 1;
        create index files_broken on files (kind, state, refused, name collate nocase) where broken = 1;
        create index files_refused on files (kind) where refused = 1;
        create index files_unhashed on files (size) where hashed = 0;
        create table details (
          file integer primary key references files (id) on delete cascade,
          head text not null default '',
          sha256 text not null default '',
          autov1 text not null default '',
          payload text not null default '',
          recorded text not null default '',
          addnet text not null default '',
          blake3 text not null default '',
          title text not null default '',
          reason text not null default '',
          base text not null default '',
          triggers text not null default '[]',
          tags text not null default '[]',
          facts text not null default '{}',
          description text not null default '',
          preview blob,
          strength real,
          exam text,
          hub text,
          model_id text not null default '',
          version_id text not null default '',
          problem text not null default '',
          notes text not null default ''
        );
        create index details_by_sha256 on details (sha256) where sha256 <> '';
        create index details_by_payload on details (payload) where payload <> '';
        create index details_by_recorded on details (recorded) where recorded <> '';
        create index details_by_autov1 on details (autov1) where autov1 <> '';
        create index details_by_addnet on details (addnet) where addnet <> '';
        create index details_by_blake3 on details (blake3) where blake3 <> '';
        create index details_by_head on details (head) where head <> '';
        create view entries as select * from files join details on details.file = files.id;
        create table called (key text not null, file integer not null references files (id) on delete cascade);
        create index called_by_key on called (key);
        create index called_by_file on called (file);
        create table collected (
          collection text not null,
          file integer not null references files (id) on delete cascade,
          primary key (collection, file)
        ) without rowid;
        create index collected_by_file on collected (file);
        create virtual table words using fts5 (
          name, triggers, tags, said, notes, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
        );
        """,
    ),
    hint=f"{HOME_VARIABLE} names another folder.",
    shared=True,
    seconds=60.0,
)
DETAILS = frozenset(
    ("head", "sha256", "autov1", "payload", "recorded", "addnet", "blake3", "title", "reason", "base", "triggers")
) | frozenset(("tags", "facts", "description", "preview", "strength", "exam", "hub", "model_id", "version_id"))
DETAILS |= {"problem", "notes"}
"""The columns that no list is filtered or ordered by: they lie apart, so that lists read little."""


def stored_path(path: Path) -> bytes:
    """A path as it is kept: its bytes, for a file's name need not be text."""
    return os.fsencode(path)


def given_path(stored: bytes) -> Path:
    return Path(os.fsdecode(stored))


def change_row(db: sqlite3.Connection, number: int, columns: Mapping[str, Any]) -> None:
    """Change columns of a file, in whichever table they are."""
    for table, key in (("files", "id"), ("details", "file")):
        own = {name: value for name, value in columns.items() if (name in DETAILS) == (table == "details")}
        if own:
            changes = ", ".join(f"{name} = ?" for name in own)
            db.execute(f"update {table} set {changes} where {key} = ?", (*own.values(), number))


def add_row(db: sqlite3.Connection, columns: Mapping[str, Any]) -> int:
    """Add a file; gives its number."""
    own = {name: value for name, value in columns.items() if name not in DETAILS}
    query = f"insert into files ({', '.join(own)}) values ({marks(tuple(own))})"
    number = int(db.execute(query, tuple(own.values())).lastrowid or 0)
    more = {"file": number} | {name: value for name, value in columns.items() if name in DETAILS}
    db.execute(f"insert into details ({', '.join(more)}) values ({marks(tuple(more))})", tuple(more.values()))
    return number


def drop_row(db: sqlite3.Connection, number: int) -> None:
    """Forget a file with all that belongs to it."""
    db.execute("delete from words where rowid = ?", (number,))
    db.execute("delete from files where id = ?", (number,))


def dump(value: Any) -> str:
    """JSON, short."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def read_entries(db: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> list[LibraryEntry]:
    """Rows of the view `entries` as values, with their folders and collections."""
    rows = list(rows)
    folders = {row[0]: given_path(row[1]) for row in db.execute("select id, path from folders")}
    collections = read_collections(db, [row["id"] for row in rows])
    return [_entry(row, folders, collections.get(row["id"], ())) for row in rows]


def read_collections(db: sqlite3.Connection, ids: Sequence[int]) -> Mapping[int, tuple[str, ...]]:
    """The collections of files, by the file."""
    found: dict[int, tuple[str, ...]] = {}
    for begin in range(0, len(ids), 500):
        part = ids[begin : begin + 500]
        query = f"select file, collection from collected where file in ({marks(part)}) order by collection"
        for file, collection in db.execute(query, part):
            found[file] = (*found.get(file, ()), collection)
    return found


def marks(values: Sequence[object]) -> str:
    """``?, ?, ?`` for so many values."""
    return ", ".join("?" * len(values))


def _entry(row: sqlite3.Row, folders: Mapping[int, Path], collections: tuple[str, ...]) -> LibraryEntry:
    preview, exam, hub = row["preview"], row["exam"], row["hub"]
    return LibraryEntry(
        id=row["id"],
        path=given_path(row["path"]),
        folder=folders.get(row["folder"]),
        name=row["name"],
        kind=row["kind"],
        state=row["state"],
        size=row["size"],
        changed=row["stamp"] / 1e9,
        added=row["added"],
        alias=row["alias"],
        title=row["title"],
        sha256=row["sha256"],
        autov1=row["autov1"],
        payload=row["payload"],
        recorded=row["recorded"],
        addnet=row["addnet"],
        blake3=row["blake3"],
        family=row["family"],
        reason=row["reason"],
        algorithms=tuple(json.loads(row["algorithms"])),
        rank=row["rank"],
        base=row["base"],
        triggers=tuple(json.loads(row["triggers"])),
        tags=tuple((tag, count) for tag, count in json.loads(row["tags"])),
        facts=json.loads(row["facts"]),
        description=row["description"],
        preview=None if preview is None else given_path(preview),
        strength=row["strength"],
        exam=None if exam is None else json.loads(exam),
        mine=bool(row["mine"]),
        mature=bool(row["mature"]),
        hub=None if hub is None else HubFacts(**json.loads(hub)),
        sidecars=tuple(name for name in row["beside"].split("/")[:-1] if name),
        problem=row["problem"],
        notes=row["notes"],
        rating=row["rating"],
        favourite=bool(row["favourite"]),
        collections=collections,
    )
