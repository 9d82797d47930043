"""A scan: what is new, changed, moved or gone in the folders of a library; then the hashes of what has none."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lorasmith.events import Note, Progress, Work, eta
from lorasmith.library.entry import ScanReport
from lorasmith.library.hashing import Store, hash_pending
from lorasmith.library.patience import PATIENCE, Silent, patiently
from lorasmith.library.recognition import recognise
from lorasmith.library.rows import Told, exam_of, write_told
from lorasmith.library.sidecars.beside import read_sidecars
from lorasmith.library.sidecars.sidecar import SidecarFacts
from lorasmith.library.store import given_path
from lorasmith.library.telling import Teller
from lorasmith.library.walking import Found, Walked, walk

BATCH = 100
"""Files that are kept in one change of the database: others wait no longer than that takes."""
STAGE = "scanning"


Known = Mapping[bytes, tuple[int, int, int, str, str]]
"""By path: number, size, stamp, beside, state."""


@dataclass
class _Seen:
    """What a walk of one folder says, batch by batch: how many files are to be looked at, files that are as they were,
    and files with what they are now."""

    todo: int = 0
    same: list[int] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)


@dataclass
class _Tally:
    files: int = 0
    new: list[int] = field(default_factory=list)
    changed: int = 0
    moved: int = 0
    gone: int = 0
    away: dict[str, str] = field(default_factory=dict)


def scan(
    store: Store, teller: Teller, *, hashes: bool = True, patience: float = PATIENCE, again: bool = False
) -> Work[ScanReport]:
    """Look through all folders; then, with `hashes`, read every file that has none yet. What is found is kept as it
    comes: a scan that is stopped goes on where it was. With `again` every header is read anew.

    A folder that cannot be reached, does not answer for `patience` seconds, or is suddenly empty is away, and so are
    its files: nothing of them is forgotten. Raises StorageError.
    """
    began = time.monotonic()
    with store.reading() as db:
        folders = [(row[0], given_path(row[1])) for row in db.execute("select id, path from folders order by id")]
    tally = _Tally()
    for number, folder in folders:
        yield from _scan_folder(store, teller, number, folder, tally, patience, again)
    with store.changing() as db:
        tally.moved = recognise(db, tally.new)
    done = (yield from hash_pending(store, patience)) if hashes else 0
    with store.reading() as db:
        gone = db.execute("select count(*) from files where state = 'gone'").fetchone()[0]
        broken = db.execute("select count(*) from files where broken = 1 and state = 'here'").fetchone()[0]
        left = db.execute("select count(*) from files where hashed = 0 and state = 'here'").fetchone()[0]
    return ScanReport(
        files=tally.files,
        new=len(tally.new) - tally.moved,
        changed=tally.changed,
        moved=tally.moved,
        gone=gone,
        broken=broken,
        hashed=done,
        unhashed=left,
        away=tuple(tally.away.items()),
        seconds=round(time.monotonic() - began, 3),
    )


def _scan_folder(
    store: Store, teller: Teller, number: int, folder: Path, tally: _Tally, patience: float, again: bool
) -> Work[None]:
    with store.reading() as db:
        query = "select path, id, size, stamp, beside, state from files where folder = ?"
        known = {row[0]: tuple(row[1:]) for row in db.execute(query, (number,))}
    walked, met = Walked(), set[int]()
    began, todo, looked, count = time.monotonic(), 0, 0, 0
    problem = ""
    try:
        for seen in patiently(lambda: _look_through(folder, known, walked, teller, again), patience):
            todo = seen.todo or todo
            met.update(seen.same)
            count += len(seen.same) + len(seen.told)
            if seen.told:
                with store.changing() as db:
                    for told in seen.told:
                        file, new = write_told(db, number, told)
                        met.add(file)
                        tally.new += [file] if new else []
                        tally.changed += not new
                looked += len(seen.told)
                yield Progress(STAGE, looked, max(todo, looked), eta(began, looked, max(todo, looked)))
    except Silent:
        problem = f"does not answer for {patience:g} s"
    except OSError as fault:
        problem = f"cannot be read: {fault.strerror or fault}"
    if not problem and not count and known and not walked.unread:
        problem = "is empty now, as the place of a disk is that is not there"
    with store.changing() as db:
        tally.gone += _settle(db, number, known, met, walked.unread, problem)
    tally.files += count
    for place, reason in walked.unread.items():
        yield Note(f"{given_path(place)}: cannot be read ({reason}); what was known of its files is kept.", "warning")
    if problem:
        tally.away[str(folder)] = problem
        yield Note(f"{folder}: {problem}; what was known of its files is kept.", "warning")


def _look_through(folder: Path, known: Known, walked: Walked, teller: Teller, again: bool) -> Iterator[_Seen]:
    """First all names, then the headers of what is new or changed; runs in a thread of its own."""
    waiting: list[Found] = []
    for files in walk(folder, walked):
        same: list[int] = []
        for found in files:
            before = known.get(found.path)
            if before is not None and not again and before[1:4] == (found.size, found.stamp, found.beside):
                same.append(before[0])
            else:
                waiting.append(found)
        yield _Seen(same=same)
    yield _Seen(todo=len(waiting))
    batch: list[Told] = []
    last = time.monotonic()
    for found in waiting:
        batch.append(look_at(found, teller))
        if len(batch) == BATCH or time.monotonic() - last > 1:
            yield _Seen(told=batch)
            batch, last = [], time.monotonic()
    yield _Seen(told=batch)


def look_at(found: Found, teller: Teller) -> Told:
    """All that is told of a file at once."""
    path = found.file
    head = teller.tell(path, found.size)
    names = found.beside.split("/")[:-1]
    facts = read_sidecars(path) if names else SidecarFacts()
    return Told(found, head, facts, exam_of(path) if head.mine else None)


def _settle(
    db: sqlite3.Connection, folder: int, known: Known, met: set[int], unread: Mapping[bytes, str], problem: str
) -> int:
    """Note what a folder's files are now: here, gone, or away with their folder. Gives how many went."""
    now = time.time()
    if problem:
        db.execute("update files set state = 'away' where folder = ? and state <> 'gone'", (folder,))
        db.executemany("update files set state = 'here' where id = ?", [(file,) for file in met])
        db.execute("update folders set problem = ? where id = ?", (problem, folder))
        return 0
    db.execute("update folders set problem = '', seen = ? where id = ?", (now, folder))
    back = [(row[0],) for row in known.values() if row[0] in met and row[4] != "here"]
    db.executemany("update files set state = 'here' where id = ?", back)
    away: list[tuple[int]] = []
    gone: list[tuple[int]] = []
    for path, row in known.items():
        if row[0] not in met:
            (away if any(path.startswith(place + b"/") for place in unread) else gone).append((row[0],))
    db.executemany("update files set state = 'away' where id = ?", away)
    db.executemany("update files set state = 'gone' where id = ?", gone)
    return sum(known_row[4] == "here" for known_row in known.values() if (known_row[0],) in set(gone))
