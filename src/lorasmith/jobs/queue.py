"""The queue: jobs in one SQLite file (WAL) that several processes may use at once, kept until they are removed.

A job is one training run. Its states: waiting, running, stopping (it shall end), done, failed, cancelled. What it
has trained lies in its run's folder, so that a job which is tried again goes on where it was.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lorasmith.errors import LorasmithError
from lorasmith.project import Project, safe_name
from lorasmith.remedies import Action, Do
from lorasmith.storage.database import Schema, changing, open_database
from lorasmith.storage.places import HOME_VARIABLE

SCHEMA = Schema(
    title="the queue",
    migrations=(
        """
        create table jobs (
          id integer primary key autoincrement,
          project text not null,
          assignments text not null,
          run text not null default '',
          state text not null,
          device text not null default '',
          created real not null,
          started real,
          ended real,
          step integer not null default 0,
          steps integer not null default 0,
          message text not null default ''
        );
        """,
        "alter table jobs add column probe integer not null default 0;",
    ),
    hint=f"{HOME_VARIABLE} names another folder.",
    shared=True,
    seconds=30.0,
)


@dataclass(frozen=True)
class QueuedRun:
    """A job as it stands. `assignments` are the recipe values that it sets; times in seconds since the epoch.

    `state` is waiting, running, stopping, done, failed or cancelled; `probe` whether the run finds its learning rates
    first.
    """

    id: int
    project: str
    assignments: tuple[str, ...]
    run: str
    state: str
    device: str
    created: float
    started: float | None
    ended: float | None
    step: int
    steps: int
    message: str
    probe: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"assignments": list(self.assignments)}


class NoSuchJobError(LorasmithError):
    """There is no job of that number, or not in a state for it."""

    exit_code = 2
    http_status = 404


class JobQueue:
    """The jobs below `folder`: queue.db, and logs/<id>.log. Raises StorageError where that cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "queue.db"
        try:
            (folder / "logs").mkdir(parents=True, exist_ok=True)
            open_database(self._file, SCHEMA).close()
        except (OSError, sqlite3.Error) as fault:
            raise SCHEMA.error(fault, self._file, "opened") from fault

    def log_file(self, number: int) -> Path:
        """What a job said, one event or message a line."""
        return self.folder / "logs" / f"{number}.log"

    def add(
        self, project: Project, assignments: Sequence[str], run: Path | None = None, *, probe: bool = False
    ) -> QueuedRun:
        """Put a run of the project at the end of the line; with `run` the one in that folder goes on, with `probe` its
        learning rates are found first."""
        with self._change() as db:
            cursor = db.execute(
                "insert into jobs (project, assignments, state, created, probe) values (?, ?, 'waiting', ?, ?)",
                (str(project.root), json.dumps(list(assignments)), time.time(), probe),
            )
            number = int(cursor.lastrowid or 0)
            name = f"{time.strftime('%Y%m%d-%H%M%S')}-{safe_name(project.lora.name)}-job{number}"
            db.execute("update jobs set run = ? where id = ?", (str(run or project.runs / name), number))
        return self.job(number)

    def jobs(self) -> list[QueuedRun]:
        """All jobs, in the order they were added."""
        with self._open() as db:
            return [_job(row) for row in db.execute("select * from jobs order by id")]

    def job(self, number: int) -> QueuedRun:
        """One job. Raises NoSuchJobError."""
        with self._open() as db:
            row = db.execute("select * from jobs where id = ?", (number,)).fetchone()
        if row is None:
            raise NoSuchJobError(f"there is no job {number}.", hint="See:", remedy=Do(Action.LIST_JOBS))
        return _job(row)

    def cancel(self, number: int) -> QueuedRun:
        """A waiting job is cancelled at once; a running one saves its state first. Raises NoSuchJobError."""
        return self._turn(number, {"waiting": "cancelled", "running": "stopping", "stopping": "stopping"}, "cancelled")

    def retry(self, number: int) -> QueuedRun:
        """A failed or cancelled job waits again; it goes on where its run was. Raises NoSuchJobError."""
        return self._turn(number, {"failed": "waiting", "cancelled": "waiting"}, "tried again")

    def remove(self, number: int) -> QueuedRun:
        """Forget a job that does not run, and its log; its run's folder stays. Raises NoSuchJobError."""
        with self._change() as db:
            job = self._held(db, number, ("waiting", "done", "failed", "cancelled"), "removed")
            db.execute("delete from jobs where id = ?", (number,))
        self.log_file(number).unlink(missing_ok=True)
        return job

    def claim(self, device: str) -> QueuedRun | None:
        """The next waiting job, which is then running on the device; None when none waits."""
        with self._change() as db:
            row = db.execute("select * from jobs where state = 'waiting' order by id limit 1").fetchone()
            if row is None:
                return None
            db.execute(
                "update jobs set state = 'running', device = ?, started = coalesce(started, ?), ended = null, "
                "message = '' where id = ?",
                (device, time.time(), row["id"]),
            )
        return self.job(int(row["id"]))

    def note_step(self, number: int, step: int, steps: int) -> str:
        """Keep how far a running job is; its state, which another process may have changed."""
        with self._change() as db:
            db.execute("update jobs set step = ?, steps = ? where id = ?", (step, steps, number))
            row = db.execute("select state from jobs where id = ?", (number,)).fetchone()
        return str(row["state"])

    def end(self, number: int, state: str, message: str = "") -> QueuedRun:
        """A running job has come to `state`."""
        with self._change() as db:
            ended = None if state == "waiting" else time.time()
            db.execute(
                "update jobs set state = ?, message = ?, ended = ? where id = ?", (state, message, ended, number)
            )
        return self.job(number)

    def recover(self, device: str) -> list[QueuedRun]:
        """Jobs of the device whose worker has died wait again, or are cancelled if they were to be.

        To be called by the device's only worker alone.
        """
        orphans = [job for job in self.jobs() if job.device == device and job.state in ("running", "stopping")]
        for job in orphans:
            self.end(job.id, "waiting" if job.state == "running" else "cancelled")
        return orphans

    def _turn(self, number: int, ways: dict[str, str], word: str) -> QueuedRun:
        with self._change() as db:
            job = self._held(db, number, tuple(ways), word)
            ended = time.time() if ways[job.state] == "cancelled" else None
            db.execute("update jobs set state = ?, ended = ? where id = ?", (ways[job.state], ended, number))
        return self.job(number)

    def _held(self, db: sqlite3.Connection, number: int, states: tuple[str, ...], word: str) -> QueuedRun:
        row = db.execute("select * from jobs where id = ?", (number,)).fetchone()
        if row is None:
            raise NoSuchJobError(f"there is no job {number}.", hint="See:", remedy=Do(Action.LIST_JOBS))
        job = _job(row)
        if job.state not in states:
            raise NoSuchJobError(
                f"job {number} is {job.state}: it cannot be {word}.", hint=f"That is for: {', '.join(states)}."
            )
        return job

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees and changes the queue alone. Raises StorageError."""
        with changing(self._file, SCHEMA) as db:
            db.row_factory = sqlite3.Row
            yield db

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(open_database(self._file, SCHEMA)) as db:
                db.row_factory = sqlite3.Row
                yield db
        except (OSError, sqlite3.Error) as fault:
            raise SCHEMA.error(fault, self._file, "opened") from fault


def _job(row: sqlite3.Row) -> QueuedRun:
    values = dict(row)
    return QueuedRun(
        **values | {"assignments": tuple(json.loads(values["assignments"])), "probe": bool(values["probe"])}
    )
