"""Every write of the program below a folder, counted where it happens: at files, folders, renames and SQLite."""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_OPEN, _CONNECT = io.open, sqlite3.connect
_CHANGES = ("insert", "update", "delete", "create", "alter", "drop", "replace", "commit")


def stages(count: int, all_of: int = 30) -> Sequence[int]:
    """The numbers of writes to try of `count`: all; of more than `all_of` the first, the last and every fourth between,
    of more than twice as many every seventh.

    A whole file takes three writes (a new file, its bytes, its name): by a stride without a common divisor each of them
    is met in its turn.
    """
    assert count > 1
    stride = 1 if count <= all_of else 4 if count <= 2 * all_of else 7
    return sorted({*range(1, count, stride), count})


class Writes:
    """Counts writes below `root`; at each `meet` is called with its number, from 1, and may raise OSError."""

    def __init__(self, root: Path, meet: Callable[[int], None]) -> None:
        self.root = os.path.realpath(root)
        self.count = 0
        self._meet = meet
        self._inside = False

    def happens(self, path: object) -> None:
        """Something is about to be written at `path`."""
        if self._inside or not isinstance(path, str | os.PathLike):
            return
        if not os.path.realpath(os.fspath(path)).startswith(self.root):
            return
        self.count += 1
        self._inside = True  # what is met may write itself
        try:
            self._meet(self.count)
        finally:
            self._inside = False


def no_room() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def watched(root: Path, meet: Callable[[int], None]) -> Iterator[Writes]:
    """Inside, all writes below `root` go by `meet`."""
    writes = Writes(root, meet)

    class Raw(io.FileIO):
        def write(self, data: Any) -> int:
            writes.happens(self.name)
            return super().write(data)

        def truncate(self, size: int | None = None) -> int:
            return super().truncate(size)

    def opening(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
        if not set("wxa+") & set(mode) or not isinstance(file, str | os.PathLike):
            return _OPEN(file, mode, buffering, *rest, **named)
        if set("wxa") & set(mode) and not os.path.exists(file):
            writes.happens(file)  # a new file takes room, too
        opener = named.pop("opener", None)
        raw = Raw(os.fspath(file), mode.replace("b", "").replace("t", ""), opener=opener)
        if buffering == 0:
            return raw
        held: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return held if "b" in mode else io.TextIOWrapper(held, *rest, **named)

    class Connection(sqlite3.Connection):
        file: Any = None

        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            _change(writes, self.file, sql)
            return super().execute(sql, *rest)

        def executemany(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            _change(writes, self.file, sql)
            return super().executemany(sql, *rest)

    def connect(database: Any, timeout: float = 5.0, **named: Any) -> sqlite3.Connection:
        made = _CONNECT(database, min(timeout, 0.2), factory=Connection, **named)
        made.file = database
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", opening)
        patch.setattr(io, "open", opening)
        patch.setattr(sqlite3, "connect", connect)
        patch.setattr(shutil, "_USE_CP_SENDFILE", False)
        for name, place in (("mkdir", 0), ("rename", 1), ("replace", 1), ("symlink", 1), ("link", 1)):
            patch.setattr(os, name, _counted(writes, getattr(os, name), place))
        yield writes


def _counted(writes: Writes, really: Callable[..., Any], place: int) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        path = given[place]
        if not (really.__name__ == "mkdir" and os.path.isdir(path)):  # there already: no room is needed
            writes.happens(path)
        return really(*given, **named)

    return call


def _change(writes: Writes, file: object, sql: str) -> None:
    if sql.lstrip().lower().startswith(_CHANGES):
        try:
            writes.happens(file)
        except OSError:
            raise sqlite3.OperationalError("database or disk is full") from None
