"""One file from a hub to the disk: resumed where it broke off, checked against the hub's hash, whole or not at all.

What has come so far lies beside the place that it is for, under a name made of what it shall be (`.NAME.ID.part`), so
that any later process goes on with it, after a kill or a loss of power, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lorasmith.container import MAX_HEADER
from lorasmith.errors import HubError, StorageError
from lorasmith.events import Note, Progress, Work, eta
from lorasmith.library.hubs.connection import CHUNK, LONGEST_BODY, Answer, Connection, Stream
from lorasmith.storage.locks import HeldError, hold

if TYPE_CHECKING:
    from hashlib import _Hash

TRIES = 5
"""Times in a row that a connection may break without one more byte."""
_EVERY = 0.1
"""Seconds between two events of progress."""
_PARTIAL, _WHOLE, _NOT_SATISFIABLE = 206, 200, 416


@dataclass(frozen=True)
class Wanted:
    """A file to fetch: where the hub has it, where it shall lie, and what is known of it. `size` is about right;
    `sha256` is what must come, "" where the hub does not say."""

    path: str
    place: Path
    size: int | None = None
    sha256: str = ""

    @property
    def part(self) -> Path:
        """Where what has come so far lies."""
        told = self.sha256 or hashlib.sha256(self.path.encode()).hexdigest()
        return self.place.with_name(f".{self.place.name}.{told[:16]}.part")


def download(
    connection: Connection,
    wanted: Wanted,
    explain: Callable[[Answer, str], HubError],
    check: Callable[[Path], None] | None = None,
) -> Work[str]:
    """Fetch a file; gives its SHA256. `check` looks at it before it takes its place, and may raise.

    Raises HubError for a refusal, a hash that is another's (nothing is left then), or a connection that breaks again
    and again (what has come is kept, and the next call goes on with it); StorageError when it cannot be written.
    """
    with _alone(wanted):
        _check_room(wanted)
        digest = yield from _receive(connection, wanted, explain)
        try:
            if wanted.sha256 and digest != wanted.sha256:
                raise HubError(
                    f"what came is not what the hub names: its SHA256 is {digest[:12]}..., not {wanted.sha256[:12]}...",
                    where=wanted.place.name,
                    hint="Nothing of it is kept. Try again; if it stays so, tell the hub.",
                )
            if check is not None:
                check(wanted.part)
        except BaseException:
            wanted.part.unlink(missing_ok=True)
            raise
        _take_place(wanted)
    return digest


@contextmanager
def _alone(wanted: Wanted) -> Iterator[None]:
    """Nobody else fetches the same file to the same place meanwhile. Raises StorageError."""
    lock = wanted.part.with_suffix(".lock")
    try:
        wanted.place.parent.mkdir(parents=True, exist_ok=True)
        held = hold(lock)
        while not _is_still_there(lock, held):  # whoever held it has removed it meanwhile
            held.close()
            held = hold(lock)
    except HeldError as other:
        raise StorageError(f"{other.whose} is fetching it already.", where=wanted.place) from None
    except OSError as fault:
        raise _cannot_write(wanted.place, fault) from fault
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink(missing_ok=True)
        held.close()


def _is_still_there(lock: Path, held: BinaryIO) -> bool:
    try:
        return lock.stat().st_ino == os.fstat(held.fileno()).st_ino
    except FileNotFoundError:
        return False


def _check_room(wanted: Wanted) -> None:
    """Raises StorageError where the disk has no room for the rest."""
    there = wanted.part.stat().st_size if wanted.part.is_file() else 0
    free = shutil.disk_usage(wanted.place.parent).free
    needed = (wanted.size or 0) - there
    if needed > free:
        raise StorageError(
            f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free.",
            where=wanted.place.parent,
            hint="Free some space or choose another folder.",
        )


def _receive(connection: Connection, wanted: Wanted, explain: Callable[[Answer, str], HubError]) -> Work[str]:
    """Fetch until nothing is missing; gives the SHA256 of what lies in the part then."""
    broken = 0
    began = time.monotonic()
    while True:
        digest, there = yield from _digest_so_far(wanted)
        headers = {"Range": f"bytes={there}-"} if there else {}
        # NOTE: without this type Civitai answers with a page for people, where one has to log in or to pay.
        stream = yield from connection.open(wanted.path, headers={**headers, "Content-Type": "application/json"})
        try:
            if stream.status == _NOT_SATISFIABLE:  # all of it is there, or it is another file by now
                if wanted.sha256 == digest.hexdigest():
                    return digest.hexdigest()
                wanted.part.unlink(missing_ok=True)
                if there:
                    continue
            _check_answer(stream, wanted, explain)
            if stream.status == _WHOLE and there:
                digest, there = hashlib.sha256(), 0
            total = _total(stream, there)
            came = yield from _write(stream, wanted, digest, there, total, began)
        finally:
            stream.close()
        if total is None or came >= total:
            return digest.hexdigest()
        broken = 0 if came > there and wanted.sha256 else broken + 1
        if broken >= TRIES:
            raise HubError(
                f"the connection broke again and again, at {came / 1e6:,.1f} of {total / 1e6:,.1f} MB.",
                where=wanted.place.name,
                hint="What has come is kept: the same command goes on with it.",
            )
        yield Note(f"the connection broke at {came / 1e6:,.1f} of {total / 1e6:,.1f} MB; it goes on there.")


def _digest_so_far(wanted: Wanted) -> Work[tuple[_Hash, int]]:
    """The hash of what lies in the part, and how much that is."""
    digest = hashlib.sha256()
    there = 0
    if not wanted.part.is_file():
        return digest, there
    if not wanted.sha256:  # nobody could tell whether the rest belongs to it
        wanted.part.unlink()
        return digest, there
    size = wanted.part.stat().st_size
    began = last = time.monotonic()
    with wanted.part.open("rb") as part:
        while chunk := part.read(CHUNK):
            digest.update(chunk)
            there += len(chunk)
            if time.monotonic() - last > _EVERY:
                last = time.monotonic()
                yield Progress("checking", there, size, eta(began, there, size))
    return digest, there


def _check_answer(stream: Stream, wanted: Wanted, explain: Callable[[Answer, str], HubError]) -> None:
    """Raises HubError for anything but the file."""
    answer = Answer(stream.status, stream.headers, b"")
    if stream.status in (_WHOLE, _PARTIAL) and not answer.is_page:
        return
    body = b""
    with contextlib.suppress(HubError):
        for chunk in stream.chunks():
            body += chunk
            if len(body) > CHUNK:
                break
    raise explain(Answer(stream.status, stream.headers, body), wanted.place.name)


def _total(stream: Stream, there: int) -> int | None:
    """Bytes of the whole file, as this answer tells it."""
    told = stream.headers.get("content-range", "").rpartition("/")[2]
    if stream.status == _PARTIAL and told.isdecimal():
        return int(told)
    length = stream.headers.get("content-length", "")
    return int(length) + there if length.isdecimal() else None


def _write(stream: Stream, wanted: Wanted, digest: _Hash, there: int, total: int | None, began: float) -> Work[int]:
    """Add what comes to the part, until it ends or breaks off; gives how much lies there."""
    came, last, start = there, 0.0, there
    about = total or wanted.size or 0
    try:
        with wanted.part.open("ab" if there else "wb") as part:
            with contextlib.suppress(HubError):  # it broke off: the caller sees how far it came
                for chunk in stream.chunks():
                    part.write(chunk)
                    digest.update(chunk)
                    came += len(chunk)
                    if total is not None and came > total:
                        break
                    if time.monotonic() - last > _EVERY:
                        last = time.monotonic()
                        yield Progress("fetching", came, about, eta(began, came - start, about - start))
            part.flush()
            os.fsync(part.fileno())
    except OSError as fault:
        raise _cannot_write(wanted.place, fault) from fault
    yield Progress("fetching", came, max(about, came))
    return came


def _take_place(wanted: Wanted) -> None:
    try:
        os.replace(wanted.part, wanted.place)
    except OSError as fault:
        raise _cannot_write(wanted.place, fault) from fault


def _cannot_write(place: Path, fault: OSError) -> StorageError:
    return StorageError(
        f"cannot write: {fault.strerror}.",
        where=place,
        hint="Free some space or choose another folder; what has come is kept and gone on with.",
    )


def fetch_header(connection: Connection, wanted: Wanted, explain: Callable[[Answer, str], HubError]) -> Work[None]:
    """The header of a safetensors file alone, in a file of its full size whose weights are zeros that take no room.

    Raises HubError for a refusal, or what is no such file; StorageError when it cannot be written.
    """
    stream = yield from connection.open(wanted.path, headers={"Content-Type": "application/json"})
    try:
        _check_answer(stream, wanted, explain)
        total, body, length = _total(stream, 0), b"", 8
        for chunk in stream.chunks():
            body += chunk
            if len(body) >= 8:
                length = 8 + int.from_bytes(body[:8], "little")
                if length > MAX_HEADER:
                    raise HubError("is no safetensors file.", where=wanted.place.name)
            if len(body) >= length:
                break
            yield Progress("fetching", len(body), length)
    finally:
        stream.close()
    try:
        wanted.place.write_bytes(body[:length])
        os.truncate(wanted.place, max(length, total or len(body)))
    except OSError as fault:
        raise _cannot_write(wanted.place, fault) from fault


def fetch_small(connection: Connection, address: str) -> Work[bytes | None]:
    """A small file such as a picture, in memory; None where it is not given."""
    stream = yield from connection.open(address)
    try:
        if stream.status != _WHOLE:
            return None
        body = b""
        for chunk in stream.chunks():
            body += chunk
            if len(body) > LONGEST_BODY:
                return None
        return body
    finally:
        stream.close()
