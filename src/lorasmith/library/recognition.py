"""A file that went and came again elsewhere is the same file, and keeps what was noted of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lorasmith.library.store import change_row, drop_row


def recognise(db: sqlite3.Connection, new: Sequence[int]) -> int:
    """Files that came where one like them went are those: same header, size and time, which a move keeps."""
    moved = 0
    for number in new:
        row = db.execute("select id, head, size, stamp from entries where id = ?", (number,)).fetchone()
        if row is None or not row["head"]:
            continue
        query = (
            "select id from entries where head = ? and head <> '' and size = ? and stamp = ? and state = 'gone' "
            "order by id"
        )
        old = db.execute(query, (row["head"], row["size"], row["stamp"])).fetchone()
        if old is not None:
            adopt(db, old[0], number, same_bytes=True)
            moved += 1
    return moved


def adopt(db: sqlite3.Connection, old: int, new: int, *, same_bytes: bool) -> None:
    """Give a file what is known and noted of another one that went, which is forgotten."""
    was = db.execute("select * from entries where id = ?", (old,)).fetchone()
    now = db.execute("select * from entries where id = ?", (new,)).fetchone()
    columns = {"added": was["added"], "notes": was["notes"] or now["notes"], "rating": now["rating"] or was["rating"]}
    columns["favourite"] = max(was["favourite"], now["favourite"])
    if now["hub"] is None:
        columns |= {key: was[key] for key in ("hub", "source", "model_id", "version_id")}
    if same_bytes and not now["sha256"]:
        columns |= {key: was[key] for key in ("sha256", "autov1", "payload", "addnet", "blake3", "hashed")}
    if now["exam"] is None:
        columns["exam"] = was["exam"]
    change_row(db, new, columns)
    db.execute("update words set notes = ? where rowid = ?", (columns["notes"], new))
    db.execute(
        "insert or ignore into collected (collection, file) select collection, ? from collected where file = ?",
        (new, old),
    )
    drop_row(db, old)
