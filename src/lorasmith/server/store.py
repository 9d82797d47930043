"""What the server keeps: jobs, pictures and options in one SQLite file, the pictures' files beside it.

Numbered migrations, write-ahead log. One connection behind a lock: every call is short.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lorasmith.errors import StorageError
from lorasmith.generation.spec import PictureSpec
from lorasmith.server.rows import ItemRow, JobRow, PictureRow, job_row, picture_row
from lorasmith.server.states import State
from lorasmith.server.stored_spec import read_stored, write_stored
from lorasmith.storage.database import Schema, open_database, transaction
from lorasmith.storage.files import write_file

FILE_NAME = "server.sqlite"
JOBS_KEPT = 10_000
"""Finished jobs without pictures that are remembered."""

MIGRATIONS: tuple[str, ...] = (
    """
    create table job (
        id text primary key, client text not null, face text not null, kind text not null, state text not null,
        created real not null, finished real, detail text not null default '{}'
    ) without rowid;
    create index job_by_state on job (state, created);
    create index job_by_time on job (created);
    create table item (
        job text not null references job (id) on delete cascade, number integer not null, wanted text not null,
        state text not null, picture text, error text, primary key (job, number)
    ) without rowid;
    create table picture (
        id text primary key, job text, number integer not null, created real not null, width integer not null,
        height integer not null, seed integer not null, prompt text not null, base text not null,
        document text not null, infotext text not null, thumbnail blob not null, bytes integer not null
    );
    create index picture_by_time on picture (created desc, id desc);
    create table option (name text primary key, value text not null) without rowid;
    """,
    # Grids: the sheet of a job is a picture that belongs to none of its items.
    """
    alter table picture add column kind text not null default 'picture';
    create index picture_by_job on picture (job);
    """,
    # The spec of a picture, to draw it again also when its job is forgotten or was never kept.
    "alter table picture add column wanted text;",
    # Finished jobs without pictures are counted, so that the oldest are forgotten without looking at the others; and
    # who starts from an input, or shows a picture, is looked up.
    """
    alter table job add column emptied integer;
    update job set emptied = counted.number from (
        select id, row_number() over (order by created, id) as number from job
        where state not in ('queued', 'running') and id not in (select job from picture where job is not null)
    ) as counted where job.id = counted.id;
    create index job_by_emptied on job (emptied) where emptied is not null;
    create index item_by_picture on item (picture) where picture is not null;
    create index item_by_image on item (json_extract(wanted, '$.start.image'));
    create index item_by_mask on item (json_extract(wanted, '$.start.mask'));
    create index picture_by_image on picture (json_extract(wanted, '$.start.image'));
    create index picture_by_mask on picture (json_extract(wanted, '$.start.mask'));
    """,
    # Boards: what a person puts pictures together under; "" is none.
    """
    alter table picture add column board text not null default '';
    create index picture_by_board on picture (board, created desc, id desc);
    """,
)
_SCHEMA = Schema(
    title="the server's records",
    migrations=MIGRATIONS,
    hint="Free some space, move the file away, or give another --data folder.",
    shared=True,
    seconds=5.0,
)


class Store:
    """Everything below `folder`. Raises StorageError where the disk does not play along."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        try:
            self._db = open_database(folder / FILE_NAME, _SCHEMA, threads=True)
            self._db.execute("pragma synchronous = normal")
            self._opened = _identity(folder / FILE_NAME)
        except (OSError, sqlite3.Error) as fault:
            raise _SCHEMA.error(fault, folder / FILE_NAME, "opened") from fault

    def is_there(self) -> bool:
        """Whether the file of the records is still the one that was opened."""
        return _identity(self.folder / FILE_NAME) == self._opened

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if not self.is_there():
                raise StorageError(
                    "the server's records were removed or replaced while it runs; what happens is not written.",
                    where=self.folder / FILE_NAME,
                    hint="Put the file back if you moved it, and start the server anew.",
                )
            try:
                with transaction(self._db):
                    yield self._db
            except sqlite3.Error as fault:
                raise _SCHEMA.error(fault, self.folder / FILE_NAME, "written") from fault

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(statement, tuple(values)).fetchall()
            except sqlite3.Error as fault:
                raise StorageError(
                    f"the server's records cannot be read: {fault}.", where=self.folder / FILE_NAME
                ) from fault

    # Jobs

    def add_job(
        self,
        job: str,
        client: str,
        face: str,
        kind: str,
        specs: Sequence[PictureSpec],
        detail: Mapping[str, Any],
        created: float | None = None,
    ) -> None:
        """A new job, queued with all its pictures; created now if no time is given."""
        at = time.time() if created is None else created
        with self._writing() as db:
            db.execute(
                "insert into job (id, client, face, kind, state, created, detail) values (?, ?, ?, ?, 'queued', ?, ?)",
                (job, client, face, kind, at, json.dumps(detail)),
            )
            db.executemany(
                "insert into item (job, number, wanted, state) values (?, ?, ?, 'queued')",
                [(job, number, write_stored(spec)) for number, spec in enumerate(specs)],
            )

    def set_item(
        self, job: str, number: int, state: str, picture: str | None = None, error: Mapping[str, Any] | None = None
    ) -> None:
        """What became of one picture of a job."""
        with self._writing() as db:
            db.execute(
                "update item set state = ?, picture = ?, error = ? where job = ? and number = ?",
                (state, picture, None if error is None else json.dumps(error), job, number),
            )

    def set_job(
        self, job: str, state: str, detail: Mapping[str, Any] | None = None, finished: float | None = None
    ) -> None:
        """A job's final state and its time, now if none is given; what is old and empty is forgotten."""
        with self._writing() as db:
            at = time.time() if finished is None else finished
            db.execute("update job set state = ?, finished = ? where id = ?", (state, at, job))
            if detail is not None:
                db.execute("update job set detail = ? where id = ?", (json.dumps(detail), job))
            _count_empty(db, job)
            db.execute(f"delete from job where emptied <= ({_LAST_EMPTIED}) - ?", (JOBS_KEPT,))

    def job(self, job: str) -> JobRow | None:
        """A job with its pictures, or None."""
        found = self._jobs("where id = ?", (job,))
        return found[0] if found else None

    def mark_job(self, job: str, state: State) -> None:
        """How a job stands that is not final."""
        with self._writing() as db:
            db.execute("update job set state = ? where id = ? and state <> ?", (state, job, state))

    def jobs(self, state: State | None = None, limit: int = 100, before: float | None = None) -> list[JobRow]:
        """The newest jobs first, of one state or of all, created before a time."""
        asked = [("state = ?", state), ("created < ?", before)]
        given = [(clause, value) for clause, value in asked if value is not None]
        where = f"where {' and '.join(clause for clause, _ in given)}" if given else ""
        return self._jobs(f"{where} order by created desc, id limit ?", (*(value for _, value in given), limit))

    def unfinished(self) -> list[JobRow]:
        """What was not finished when the server stopped, the oldest first."""
        return self._jobs("where state in ('queued', 'running') order by created, id", ())

    def _jobs(self, where: str, values: Sequence[object]) -> list[JobRow]:
        with self._lock:
            heads = self._rows(
                f"select id, client, face, kind, state, created, finished, detail from job {where}", values
            )
            return [job_row(head, self._items(head[0])) for head in heads]

    def _items(self, job: str) -> tuple[ItemRow, ...]:
        rows = self._rows(
            "select number, wanted, state, picture, error from item where job = ? order by number", (job,)
        )
        return tuple(
            ItemRow(number, read_stored(wanted), state, picture, json.loads(error) if error else None)
            for number, wanted, state, picture, error in rows
        )

    # Pictures

    def add_picture(self, row: PictureRow, png: bytes, thumbnail: bytes) -> None:
        """Keep a picture: its file first, then what is known of it, and that this picture of its job is done; all or
        nothing. Raises StorageError."""
        path = write_file(self.picture_path(row.id), png)
        try:
            with self._writing() as db:
                db.execute(
                    "insert into picture (id, job, number, created, width, height, seed, prompt, base, document,"
                    " infotext, thumbnail, bytes, kind, wanted) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(row.id, row.job, row.number, row.created, row.width, row.height, row.seed, row.prompt),
                        *(row.base, json.dumps(row.document, ensure_ascii=False), row.infotext, thumbnail, len(png)),
                        *(row.kind, None if row.spec is None else write_stored(row.spec)),
                    ),
                )
                if row.kind == "picture":
                    db.execute(
                        "update item set state = 'done', picture = ? where job = ? and number = ? and state = 'queued'",
                        (row.id, row.job, row.number),
                    )
        except StorageError:
            path.unlink(missing_ok=True)
            raise

    def picture_path(self, picture: str) -> Path:
        """Where the file of a picture lies; ids are ours and hold hex digits only."""
        return self.folder / "pictures" / picture[:2] / f"{picture}.png"

    def picture(self, picture: str) -> PictureRow | None:
        found = self._pictures("where id = ?", (picture,))
        return found[0] if found else None

    def pictures(
        self,
        limit: int = 100,
        before: tuple[float, str] | None = None,
        search: str = "",
        board: str | None = None,
    ) -> list[PictureRow]:
        """The newest first; `before` is (created, id) of the last known one; `search` a part of the prompt; of one
        `board`, "" of none."""
        clauses, values = [], list[object]()
        if board is not None:
            clauses.append("board = ?")
            values.append(board)
        if before is not None:
            clauses.append("(created, id) < (?, ?)")
            values += before
        if search:
            clauses.append("instr(lower(prompt), lower(?)) > 0")
            values.append(search)
        where = f"where {' and '.join(clauses)}" if clauses else ""
        return self._pictures(f"{where} order by created desc, id desc limit ?", (*values, limit))

    def sheets(self, job: str) -> dict[int, str]:
        """The sheets of a job that are kept, by their place."""
        return dict(self._rows("select number, id from picture where job = ? and kind = 'grid'", (job,)))

    def count_pictures(self) -> int:
        return int(self._rows("select count(*) from picture")[0][0])

    def boards(self) -> dict[str, int]:
        """How many pictures each board has, by name."""
        return dict(self._rows("select board, count(*) from picture where board <> '' group by board order by board"))

    def set_board(self, pictures: Sequence[str], board: str) -> None:
        """Put pictures on a board, "" takes them off; a board without pictures is gone."""
        with self._writing() as db:
            db.executemany("update picture set board = ? where id = ?", [(board, picture) for picture in pictures])

    def thumbnail(self, picture: str) -> bytes | None:
        rows = self._rows("select thumbnail from picture where id = ?", (picture,))
        return bytes(rows[0][0]) if rows else None

    def remove_picture(self, picture: str) -> bool:
        """Forget a picture and delete its file; False when there is none."""
        with self._writing() as db:
            jobs = db.execute("delete from picture where id = ? returning job", (picture,)).fetchall()
            db.execute("update item set picture = null where picture = ?", (picture,))
            for (job,) in jobs:
                _count_empty(db, job)
        if jobs:
            with contextlib.suppress(OSError):
                self.picture_path(picture).unlink(missing_ok=True)
        return bool(jobs)

    def _pictures(self, where: str, values: Sequence[object]) -> list[PictureRow]:
        rows = self._rows(
            "select id, job, number, created, width, height, seed, prompt, base, document, infotext, bytes, kind,"
            f" wanted, board from picture {where}",
            values,
        )
        return [picture_row(row) for row in rows]

    # Files

    def remove_partials(self) -> None:
        """Delete what a killed server had half written."""
        for folder in ("pictures", "inputs"):
            for file in (self.folder / folder).rglob(".*.partial"):
                with contextlib.suppress(OSError):
                    file.unlink()

    # Inputs and options

    def input_path(self, sha256: str) -> Path:
        """Where a picture that specs start from lies."""
        return self.folder / "inputs" / f"{sha256}.png"

    def inputs(self) -> list[str]:
        """All that are kept."""
        return [file.stem for file in (self.folder / "inputs").glob("*.png")]

    def drop_inputs(self, names: Iterable[str]) -> None:
        """Delete those of the inputs that no job and no picture of the records names."""
        for name in names:
            places = [(table, field) for table in ("item", "picture") for field in ("image", "mask")]
            used = "select 1 from {} where json_extract(wanted, '$.start.{}') = ? limit 1"
            if not any(self._rows(used.format(*place), (name,)) for place in places):
                with contextlib.suppress(OSError):
                    self.input_path(name).unlink(missing_ok=True)

    def options(self) -> dict[str, Any]:
        return {name: json.loads(value) for name, value in self._rows("select name, value from option")}

    def set_option(self, name: str, value: object) -> None:
        with self._writing() as db:
            db.execute(
                "insert into option values (?, ?) on conflict (name) do update set value = excluded.value",
                (name, json.dumps(value)),
            )


_LAST_EMPTIED = "select max(emptied) from job where emptied is not null"  # so that the index can serve


def _count_empty(db: sqlite3.Connection, job: str | None) -> None:
    """Count a job among the empty ones if it is final and has no pictures, as the latest of them."""
    db.execute(
        f"update job set emptied = coalesce(({_LAST_EMPTIED}), 0) + 1 where id = ?"
        " and state not in ('queued', 'running') and not exists (select 1 from picture where job = job.id)",
        (job,),
    )


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None when there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
