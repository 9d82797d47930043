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
          head text not null default '',
          sha256 text not null default '',
          autov1 text not null default '',
          payload text not null default '',
          recorded text not null default '',
          addnet text not null default '',
          blake3 text not null default '',
          claimed real not null default 0,
          alias text not null default '',
          title text not null default '',
          family text,
          reason text not null default '',
          algorithms text not null default '[]',
          rank integer,
          base text not null default '',
          triggers text not null default '[]',
          tags text not null default '[]',
          facts text not null default '{}',
          description text not null default '',
          preview blob,
          strength real,
          exam text,
          mine integer not null default 0,
          mature integer not null default 0,
          hub text,
          source text not null default '',
          model_id text not null default '',
          version_id text not null default '',
          problem text not null default '',
          notes text not null default '',
          rating integer,
          favourite integer not null default 0
        );
        create index files_by_name on files (kind, state, name collate nocase);
        create index files_by_family on files (family, kind, state, name collate nocase);
        create index files_by_called on files (name);
        create index files_by_alias on files (alias) where alias <> '';
        create index files_by_sha256 on files (sha256) where sha256 <> '';
        create index files_by_payload on files (payload) where payload <> '';
        create index files_by_recorded on files (recorded) where recorded <> '';
        create index files_by_autov1 on files (autov1) where autov1 <> '';
        create index files_by_addnet on files (addnet) where addnet <> '';
        create index files_by_blake3 on files (blake3) where blake3 <> '';
        create index files_by_head on files (head, size);
        create index files_by_hub on files (source, model_id, version_id) where source <> '';
        create index files_unhashed on files (size) where sha256 = '';
        create index files_rated on files (rating) where rating is not null;
        create index files_favourite on files (favourite) where favourite = 1;
        create index files_mine on files (mine) where mine = 1;
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
        """
        alter table files add column refused integer not null default 0;
        create index files_by_added on files (kind, state, added);
        create index files_by_size on files (kind, state, size);
        create index files_refused on files (refused) where refused = 1;
        """,
    ),
    hint=f"{HOME_VARIABLE} names another folder.",
    shared=True,
    seconds=60.0,
)
HASHES = ("sha256", "autov1", "payload", "recorded", "addnet", "blake3")
"""The columns with hashes, which a file is found by."""


def stored_path(path: Path) -> bytes:
    """A path as it is kept: its bytes, for a file's name need not be text."""
    return os.fsencode(path)


def given_path(stored: bytes) -> Path:
    return Path(os.fsdecode(stored))


def dump(value: Any) -> str:
    """JSON, short."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def read_entries(db: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> list[LibraryEntry]:
    """Rows of `files` as entries, with their folders and collections."""
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
