"""Files that are written whole or not at all, and lines that are added whole."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from lorasmith.errors import StorageError

_partials = itertools.count()


def write_file(path: Path, data: bytes | str) -> Path:
    """Write a whole file or nothing: to a neighbour first, flushed, then renamed over. Raises StorageError."""
    hint = "Free some space or choose another folder, then resume."
    with replacing(path, hint) as partial, partial.open("wb") as out:
        out.write(data.encode("utf-8") if isinstance(data, str) else data)
        out.flush()
        os.fsync(out.fileno())
    return path


def refuse_existing(path: Path) -> None:
    """Raises StorageError where something lies already: for commands that make a file beside those that they read."""
    if path.exists() or path.is_symlink():
        raise StorageError("exists already.", where=path, hint="Give another name: nothing is written over.")


@contextlib.contextmanager
def replacing(path: Path, hint: str = "Free some space or choose another folder.") -> Iterator[Path]:
    """A neighbour of `path` to write to, which takes its place at the end; after any error nothing is left of it.

    It may become a file or a folder (for a place where nothing is yet). No other process and no other thread is given
    the same one. Folders above are made. Raises StorageError with `hint` for an OSError inside the block, too.
    """
    partial = partial_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except BaseException as fault:
        with contextlib.suppress(OSError):
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
        if isinstance(fault, OSError):
            raise StorageError(f"cannot write: {fault.strerror}.", where=path, hint=hint) from fault
        raise


def replace_folder(fresh: Path, place: Path) -> None:
    """Let a folder take the place of another one, which is removed; after an error the other one is there again.
    Raises OSError."""
    old = partial_of(place)
    if place.exists():
        os.replace(place, old)
    try:
        os.replace(fresh, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.replace(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def partial_of(path: Path) -> Path:
    """A free neighbour of `path`, to make there what shall stand at `path`; nobody else is given the same one."""
    return path.with_name(f".{path.name}.{os.getpid()}-{next(_partials)}.partial")


def remove_left_partials(path: Path) -> None:
    """Remove the neighbours of `path` that processes which were killed left; those of living processes stay."""
    _remove_left(path.parent, re.compile(rf"\.{re.escape(path.name)}\.(?:(\d+)-\d+\.)?partial"))


def remove_all_left_partials(folder: Path) -> None:
    """Remove what killed processes left of any file that they were writing in a folder; not below it. For folders of
    which one process at a time has charge."""
    _remove_left(folder, re.compile(r"\..+\.(\d+)-\d+\.partial"))


def _remove_left(folder: Path, pattern: re.Pattern[str]) -> None:
    with contextlib.suppress(OSError):
        for left in list(folder.iterdir()):
            named = pattern.fullmatch(left.name)
            if named is None or (named[1] is not None and _lives(int(named[1]))):
                continue
            with contextlib.suppress(OSError):
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    """Whether a process of that id is there; true where nobody can tell."""
    if sys.platform == "win32":  # os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add whole lines to the end of a file, all of them or none; they are on disk when this returns. A last line that
    an interruption left without its end stays apart from them. Raises StorageError."""
    data = "".join(f"{line}\n" for line in lines).encode("utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as out:
            end = out.seek(0, os.SEEK_END)
            if end:
                out.seek(end - 1)
                data = data if out.read(1) == b"\n" else b"\n" + data
            try:
                written = 0
                while written < len(data):
                    written += out.write(data[written:]) or 0
                os.fsync(out.fileno())
            except OSError:
                out.truncate(end)
                raise
    except OSError as fault:
        raise StorageError(f"cannot write: {fault.strerror}.", where=path, hint="Free some space.") from fault


def add_file(folder: Path, stem: str, suffix: str, data: bytes) -> Path:
    """Write a whole file as ``stem-0001.png`` and on: the number after the last one in use; its path.

    Nothing is written over, also when several processes add to one folder. Raises StorageError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((_number(path.stem, stem) for path in folder.glob(f"*{suffix}")), default=0)
        whole = write_file(partial_of(folder / f"{stem}{suffix}"), data)
        try:
            while True:
                path = folder / f"{stem}-{number:04d}{suffix}"
                try:
                    _take(whole, path)
                    return path
                except FileExistsError:
                    number += 1
        finally:
            whole.unlink(missing_ok=True)
    except OSError as fault:
        hint = "Free some space or choose another folder."
        raise StorageError(f"cannot write: {fault.strerror}.", where=folder, hint=hint) from fault


def _take(whole: Path, path: Path) -> None:
    """Give a file its name if nobody has that. Raises FileExistsError, OSError."""
    try:
        os.link(whole, path)
    except FileExistsError:
        raise
    except OSError:  # file systems without links: the name is reserved by an empty file
        path.touch(exist_ok=False)
        os.replace(whole, path)


def _number(found: str, stem: str) -> int:
    tail = found.removeprefix(f"{stem}-")
    return int(tail) if tail != found and tail.isascii() and tail.isdigit() else 0
