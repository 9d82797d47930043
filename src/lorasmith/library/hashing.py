"""Hashes of files that have none yet: one after the other, in any number of processes at once, stopped at any time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Protocol

from lorasmith.events import Note, Progress, Work, eta
from lorasmith.library.hashes import Hashes, hash_steps
from lorasmith.library.patience import Silent, patiently
from lorasmith.library.recognition import adopt
from lorasmith.library.store import change_row, given_path

STAGE = "hashing"
LEASE = 120.0
"""Seconds for which files are another's to hash, from when he last said so."""
_TOGETHER = 64
_BYTES_TOGETHER = 64 << 20
"""So many files, of so many bytes, are claimed and kept in one change of the database."""
_MEGABYTE = 1 << 20


class Store(Protocol):
    """Who gives the database (`index.LibraryIndex`)."""

    def reading(self) -> AbstractContextManager[Connection]: ...

    def changing(self) -> AbstractContextManager[Connection]: ...


@dataclass(frozen=True)
class _Claim:
    id: int
    path: Path
    size: int
    stamp: int
    folder: int


def hash_pending(store: Store, patience: float, wanted: str = "") -> Work[int]:
    """Hash what has no hash yet, smallest first; gives how many were. With `wanted` (digits of any hash) it ends with
    the file that has it. What cannot be read, or does not answer, is left for the next time. Raises StorageError."""
    with store.reading() as db:
        query = "select coalesce(sum(size), 0) from files where hashed = 0 and state = 'here'"
        total: int = db.execute(query).fetchone()[0]
    began, read, done = time.monotonic(), 0, 0
    failed, slow = set[int](), set[int]()
    while claims := _claim(store, failed, slow):
        hashed: list[tuple[_Claim, Hashes]] = []
        try:
            for claim in claims:
                if claim.folder in slow:
                    continue
                hashes = yield from _hash(store, claim, (patience, read, total, began), slow)
                if hashes is None:
                    failed.add(claim.id)
                    continue
                read += claim.size
                hashed.append((claim, hashes))
                if wanted and any(value.startswith(wanted) for value in vars(hashes).values()):
                    return done + len(hashed)
        finally:
            _keep(store, claims, hashed)
        done += len(hashed)
        yield _progress(read, total, began)
    return done


def _hash(store: Store, claim: _Claim, course: tuple[float, int, int, float], slow: set[int]) -> Work[Hashes | None]:
    """One file's hashes; None where it cannot be read. A folder that does not answer joins the `slow` ones."""
    patience, read, total, began = course
    renewed = time.monotonic()
    try:
        for step in patiently(lambda: hash_steps(claim.path), patience):
            if isinstance(step, Hashes):
                return step
            yield _progress(read + step, total, began)
            if time.monotonic() - renewed > LEASE / 4:
                renewed = time.monotonic()
                with store.changing() as db:
                    db.execute("update files set claimed = ? where id = ?", (time.time() + LEASE, claim.id))
    except Silent:
        slow.add(claim.folder)
        yield Note(f"{claim.path}: does not answer for {patience:g} s; its folder is left for later.", "warning")
    except OSError as fault:
        yield Note(f"{claim.path}: cannot be read ({fault.strerror or fault}).", "warning")
    return None


def _progress(read: int, total: int, began: float) -> Progress:
    done, whole = (-(-count // _MEGABYTE) for count in (read, max(total, read)))
    return Progress(STAGE, done, whole, eta(began, read, max(total, read)))


def _claim(store: Store, failed: set[int], slow: set[int]) -> list[_Claim]:
    """The next files, which nobody else hashes now."""
    now, size = time.time(), 0
    claims: list[_Claim] = []
    with store.changing() as db:
        query = (
            "select id, path, size, stamp, coalesce(folder, 0) from files "
            "where hashed = 0 and state = 'here' and claimed < ? order by size, id"
        )
        for number, path, length, stamp, folder in db.execute(query, (now,)):
            if number in failed or folder in slow:
                continue
            if claims and (size + length > _BYTES_TOGETHER or len(claims) == _TOGETHER):
                break
            claims.append(_Claim(number, given_path(path), length, stamp, folder))
            size += length
        db.executemany("update files set claimed = ? where id = ?", [(now + LEASE, claim.id) for claim in claims])
    return claims


def _keep(store: Store, claims: Sequence[_Claim], hashed: Sequence[tuple[_Claim, Hashes]]) -> None:
    """Keep the hashes of files that are still what they were, and let the others be claimed again."""
    with store.changing() as db:
        db.executemany("update files set claimed = 0 where id = ?", [(claim.id,) for claim in claims])
        for claim, hashes in hashed:
            keep_hashes(db, claim.id, claim.size, claim.stamp, hashes)


def keep_hashes(db: Connection, number: int, size: int, stamp: int, hashes: Hashes) -> None:
    """Keep the hashes of a file if it still is of this size and time; one that went with the same is recognised."""
    query = "select addnet from entries where id = ? and size = ? and stamp = ?"
    row = db.execute(query, (number, size, stamp)).fetchone()
    if row is not None:
        change_row(db, number, vars(hashes) | {"addnet": row[0] or hashes.addnet, "hashed": 1})
        _recognise(db, number, hashes.sha256)


def _recognise(db: Connection, number: int, sha256: str) -> None:
    """A file whose bytes are those of one that went is that one; copies share the figures of an exam."""
    gone = db.execute(
        "select id from entries where sha256 = ? and sha256 <> '' and state = 'gone' order by id", (sha256,)
    ).fetchone()
    if gone is not None:
        adopt(db, gone[0], number, same_bytes=True)
    query = "select exam from details where sha256 = ? and sha256 <> '' and exam is not null limit 1"
    exam = db.execute(query, (sha256,)).fetchone()
    if exam is not None:
        query = "update details set exam = ? where sha256 = ? and sha256 <> '' and exam is null"
        db.execute(query, (exam[0], sha256))
