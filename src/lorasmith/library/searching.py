"""Questions to the library: words and filters as SQL, a page of answers, and the files that a name calls."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lorasmith.dataset.folders import printable
from lorasmith.library.entry import Filters, LibraryEntry, Page
from lorasmith.library.store import given_path, marks, read_entries, stored_path

MOST_COUNTED = 2000
"""Hits of a search that are ranked and counted; of more, those are shown whose names have the words."""
SHORTEST_HASH = 8
_WORD = re.compile(r"[^\W_]+")
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{8,64})")
_WEIGHTS = "10.0, 8.0, 1.0, 2.0, 3.0"
"""Of the columns of `words`: a name says more than one of many tags."""


def trigger_keys(phrase: str) -> tuple[str, ...]:
    """What a trigger phrase is looked up by: itself and its first tag, whatever their case and spaces."""
    whole = " ".join(phrase.casefold().replace("_", " ").split())
    first = whole.split(",")[0].strip()
    return tuple(dict.fromkeys(key for key in (whole, first) if key))


def hash_digits(text: str) -> str | None:
    """A text that may be a hash, in lower case and without ``0x``; None when it is none."""
    found = _HEX.fullmatch(text.strip())
    return found[1].lower() if found else None


def find_files(db: sqlite3.Connection, name: str, kind: str = "adapter") -> list[LibraryEntry]:
    """The files that a name calls, all equally well: by path, else name (with as many folders before it as are said),
    else recorded name, else hash, else trigger. Those that are not there now come last."""
    for ids in (_by_path(db, name), _by_name(db, name), _by_alias(db, name), _by_hash(db, name), _by_trigger(db, name)):
        found = _of_kind(db, ids, kind)
        if found:
            return found
    return []


def find_hash(db: sqlite3.Connection, digits: str, kind: str = "") -> list[LibraryEntry]:
    """The files of which some hash begins so (at least 8 digits)."""
    return _of_kind(db, _by_hash(db, digits), kind)


def _of_kind(db: sqlite3.Connection, ids: Sequence[int], kind: str) -> list[LibraryEntry]:
    if not ids:
        return []
    query = (
        f"select * from entries where id in ({marks(ids)}) and (? = '' or kind = ?) and refused = 0 "
        "order by state <> 'here', id"
    )
    return read_entries(db, db.execute(query, (*ids, kind, kind)))


def _by_path(db: sqlite3.Connection, name: str) -> list[int]:
    if "/" not in name and "\\" not in name and not name.endswith(".safetensors"):
        return []
    return [row[0] for row in db.execute("select id from files where path = ?", (stored_path(Path(name).absolute()),))]


def _by_name(db: sqlite3.Connection, name: str) -> list[int]:
    exact = [row[0] for row in db.execute("select id from files where name in (?, ?)", (_text(name), printable(name)))]
    if exact:  # a backslash may be of the name: what is no text is spelt with it
        return exact
    said = [part for part in name.replace("\\", "/").split("/") if part]
    if not said:
        return []
    rows = db.execute(
        "select id, path from files where name in (?, ?)", (_text(said[-1]), printable(said[-1]))
    ).fetchall()
    before = tuple(said[:-1])
    return [row[0] for row in rows if not before or given_path(row[1]).parts[:-1][-len(before) :] == before]


def _by_alias(db: sqlite3.Connection, name: str) -> list[int]:
    return [row[0] for row in db.execute("select id from files where alias = ? and alias <> ''", (_text(name),))]


def _by_hash(db: sqlite3.Connection, name: str) -> list[int]:
    digits = hash_digits(name)
    if digits is None:
        return []
    # NOTE: the header's claim comes last, for anything can be claimed.
    for columns in (("sha256", "payload", "autov1", "addnet", "blake3"), ("recorded",)):
        found: dict[int, None] = {}
        for column in columns:
            query = f"select file from details where {column} >= ? and {column} < ? and {column} <> ''"
            found.update(dict.fromkeys(row[0] for row in db.execute(query, (digits, f"{digits}g"))))
        if found:
            return list(found)
    return []


def _by_trigger(db: sqlite3.Connection, name: str) -> list[int]:
    keys = trigger_keys(_text(name))
    query = "select distinct file from called where key = ?"
    return [row[0] for row in db.execute(query, keys[:1])] if keys else []


def _text(given: str) -> str:
    """What SQLite takes of a text in which there may be bytes that are none."""
    return given.encode("utf-8", "replace").decode("utf-8")


_ORDERS = {
    "name": "files.name collate nocase",
    "added": "files.added desc",
    "changed": "files.stamp desc",
    "size": "files.size desc",
    "rating": "files.rating desc, files.name collate nocase",
}


def search(
    db: sqlite3.Connection, filters: Filters, offset: int = 0, limit: int = 100, order: str | None = None
) -> Page:
    """A page of the entries that are meant, in an order of `entry.ORDERS`: by name when None, or those of a search by
    how well they fit."""
    where, values = _conditions(filters)
    words = match_words(filters.words)
    refused = db.execute("select count(*) from files where refused = 1").fetchone()[0]
    if words is not None and order is not None:
        where, values = f"{where} and files.id in (select rowid from words where words match ?)", [*values, words]
        words = None
    if words is None:
        total = db.execute(f"select count(*) from files where {where}", values).fetchone()[0]
        by = _ORDERS[order or "name"]
        # NOTE: the plus keeps SQLite from sorting all files of such sizes, where walking along the names ends soon.
        ordered = where if order == "size" else where.replace("files.size", "+files.size")
        query = f"select id from files where {ordered} order by {by}, files.id limit ? offset ?"
        ids = [row[0] for row in db.execute(query, (*values, limit, offset))]
        return Page(tuple(_in_order(db, ids)), total, refused=refused)
    return replace(_ranked(db, words, where, values, offset, limit), refused=refused)


def _ranked(db: sqlite3.Connection, words: str, where: str, values: Sequence[object], offset: int, limit: int) -> Page:
    joined = f"from words join files on files.id = words.rowid where words match ? and {where}"
    hits = [row[0] for row in db.execute(f"select words.rowid {joined} limit ?", (words, *values, MOST_COUNTED + 1))]
    more = len(hits) > MOST_COUNTED
    if more:  # too many to weigh: those with the words in their names first
        named = f"{{name triggers}} : ({words})"
        first = [row[0] for row in db.execute(f"select words.rowid {joined} limit ?", (named, *values, MOST_COUNTED))]
        order = list(dict.fromkeys((*first, *hits)))[:MOST_COUNTED]
    elif hits:
        ranked = f"select words.rowid {joined} order by bm25(words, {_WEIGHTS}), files.name collate nocase"
        order = [row[0] for row in db.execute(ranked, (words, *values))]
    else:
        order = []
    return Page(tuple(_in_order(db, order[offset : offset + limit])), len(order), more)


def _in_order(db: sqlite3.Connection, ids: Sequence[int]) -> list[LibraryEntry]:
    rows = {row["id"]: row for row in db.execute(f"select * from entries where id in ({marks(ids)})", ids)}
    return read_entries(db, [rows[each] for each in ids if each in rows])


def facets(db: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """How many files that are here each value has, by what a list can be filtered by; the most first."""
    counted = {
        "kind": "select kind, count(*) from files where {there} group by kind",
        "family": "select family, count(*) from files where {there} and family is not null group by family",
        "algorithm": "select value, count(*) from files, json_each(algorithms) where {there} group by value",
        "source": "select source, count(*) from files where {there} and source <> '' group by source",
        "collection": "select collection, count(*) from collected join files on files.id = collected.file "
        "where {there} group by collection",
    }
    there = "state = 'here' and refused = 0"
    found = {name: db.execute(query.format(there=there)).fetchall() for name, query in counted.items()}
    return {name: dict(sorted(map(tuple, rows), key=lambda row: -row[1])) for name, rows in found.items()}


def duplicates(db: sqlite3.Connection, column: str = "sha256") -> list[list[LibraryEntry]]:
    """Files that are here more than once, by a hash ("sha256", or "payload": the same weights), largest first."""
    query = (
        f"select {column} from entries where {column} <> '' and state = 'here' and refused = 0 "
        f"group by {column} having count(*) > 1 order by max(size) desc, {column}"
    )
    groups = []
    for (value,) in db.execute(query).fetchall():
        rows = db.execute(f"select * from entries where {column} = ? and state = 'here' order by added, id", (value,))
        groups.append(read_entries(db, rows))
    return groups


def match_words(text: str) -> str | None:
    """A user's words as FTS5 has them: all must be there, the beginning of a word is enough, "in quotes" they stand
    together. None when there are none."""
    terms: list[str] = []
    for quoted, bare in re.findall(r'"([^"]*)"?|([^\s"]+)', text):
        parts = _WORD.findall(quoted or bare)
        if quoted and parts:
            terms.append('"' + " ".join(parts) + '"')
        else:
            terms += [f'"{part}"*' for part in parts]
    return " AND ".join(terms) if terms else None


def _conditions(filters: Filters) -> tuple[str, list[object]]:
    """The filters as SQL over `files`, and its values."""
    told: list[tuple[str, Sequence[object]]] = [
        ("files.kind = ?", [filters.kind] if filters.kind else []),
        ("files.state = ?", [filters.state] if filters.state else []),
        ("files.family = ?", [filters.family] if filters.family else []),
        ("files.algorithms like ?", [f'%"{filters.algorithm}"%'] if filters.algorithm else []),
        ("files.source = ? and files.source <> ''", [filters.source] if filters.source else []),
        ("files.size >= ?", [filters.smallest] if filters.smallest else []),
        ("files.size <= ?", [filters.largest] if filters.largest else []),
        ("files.rating >= ?", [filters.rating] if filters.rating else []),
        ("files.mine = 1 and ?", [1] if filters.mine else []),
        ("files.favourite = 1 and ?", [1] if filters.favourite else []),
        ("files.mature = ?", [] if filters.mature else [0]),
        ("files.source = ?", [""] if filters.unlabelled else []),
        ("files.broken = 1 and ?", [1] if filters.broken else []),
        (
            "files.id in (select file from called where key = ?)",
            trigger_keys(filters.trigger)[:1] if filters.trigger else [],
        ),
        (
            "files.id in (select file from collected where collection = ?)",
            [filters.collection] if filters.collection else [],
        ),
        ("files.id in (select rowid from words where words match ?)", _tag_match(filters.tag)),
    ]
    if filters.folder:
        start = stored_path(Path(filters.folder).expanduser().absolute())
        told.append(("(files.path > ? and files.path < ?)", [start + b"/", start + b"0"]))
    kept = [(condition, values) for condition, values in told if values]
    conditions = ["files.refused = 0", *(condition for condition, _ in kept)]
    return " and ".join(conditions), [value for _, values in kept for value in values]


def _tag_match(tag: str) -> list[str]:
    parts = _WORD.findall(tag)
    return ['tags : "' + " ".join(parts) + '"'] if parts else []
