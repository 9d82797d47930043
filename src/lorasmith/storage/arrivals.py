"""Files that take their places in a folder together: all of them or none, whenever the process ends.

They are gathered beside their places, in a folder that is renamed when all are there: from then on they have arrived.
What an interruption left to be moved, whoever uses the folder next moves.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lorasmith.errors import StorageError
from lorasmith.storage.files import partial_of, remove_left_partials
from lorasmith.storage.locks import HeldError, hold

_ARRIVED, _LOCK = ".arriving", ".arriving.lock"


@contextlib.contextmanager
def arriving(root: Path) -> Iterator[Path]:
    """An empty folder whose files take the same places below `root` at the end; after any error none of them does.

    Files at its top replace those of `root`; of all others none is written over: they get a free name. One process at
    a time. Raises StorageError, for an OSError inside the block, too.
    """
    gathered = partial_of(root / _ARRIVED)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root):
            settle(root)
            remove_left_partials(root / _ARRIVED)
            gathered.mkdir()
            yield gathered
            os.replace(gathered, root / _ARRIVED)
            settle(root)
    except OSError as fault:
        raise _unwritable(fault, root) from fault
    finally:
        shutil.rmtree(gathered, ignore_errors=True)


def settle(root: Path) -> None:
    """Move what has arrived to its places; nothing where nothing has. Raises StorageError."""
    arrived = root / _ARRIVED
    if not arrived.is_dir():
        return
    try:
        found = sorted(arrived.rglob("*"), key=lambda path: (path.parent == arrived, path))
        folders = [path for path in found if path.is_dir()]
        for folder in folders:
            (root / folder.relative_to(arrived)).mkdir(parents=True, exist_ok=True)
        for file in found:
            place = root / file.relative_to(arrived)
            if file not in folders:
                with contextlib.suppress(FileNotFoundError):  # another process was here first
                    os.replace(file, place if file.parent == arrived else _free(place))
        for folder in (*sorted(folders, reverse=True), arrived):
            with contextlib.suppress(OSError):  # of another process: gone, or filled anew
                folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as fault:
        raise _unwritable(fault, root) from fault


def _free(place: Path) -> Path:
    free, number = place, 2
    while free.exists() or free.is_symlink():
        free, number = place.with_name(f"{place.stem}-{number}{place.suffix}"), number + 1
    return free


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Nobody else puts files into `root` meanwhile; where there are no locks it goes on without."""
    file = root / _LOCK
    try:
        lock = hold(file)
        while not _is_at(lock, file):  # who had it before has removed it
            lock.close()
            lock = hold(file)
    except HeldError as held:
        hint = "Wait until it has ended, then run this again."
        raise StorageError(f"{held.whose} is putting files here.", where=root, hint=hint) from None
    with lock:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.unlink()


def _is_at(lock: BinaryIO, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), file.stat())
    except FileNotFoundError:
        return False


def _unwritable(fault: OSError, root: Path) -> StorageError:
    where = str(fault.filename or root).encode("utf-8", "replace").decode("utf-8", "replace")
    hint = "Free some space, then run this again."
    return StorageError(f"cannot write: {fault.strerror}.", where=where, hint=hint)
