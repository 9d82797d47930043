"""Files on their way in: streamed to a folder of their own, where they wait until a project takes them."""

from __future__ import annotations

import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from fastapi.concurrency import run_in_threadpool

from lorasmith.dataset.ingest import fit
from lorasmith.server.errors import FieldError, MissingError
from lorasmith.server.settings import Limits
from lorasmith.storage.files import remove_all_left_partials, replacing

FOLDER = ".uploads"
_NAME = re.compile(r"[0-9a-f]{32}")
_FILES = "files"
_KEPT_SECONDS = 3 * 24 * 3600
_PIECE = 1 << 20


class Uploads:
    """Uploads below `folder`; each takes at most `limits.upload_total` bytes and `limits.upload_files` files. What a
    killed server left half-written goes with the next start; whole files stay, so that an upload can go on."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder / FOLDER
        self._limits = limits

    def begin(self) -> str:
        """The name of a new upload. Uploads that nobody took are removed after three days."""
        self._sweep()
        name = uuid.uuid4().hex
        (self._folder / name / _FILES).mkdir(parents=True)
        return name

    def files(self, name: str) -> dict[str, int]:
        """The bytes of each file that has come whole, by its path."""
        root = self._root(name)
        found = (file for file in sorted(root.rglob("*")) if file.is_file() and not file.name.endswith(".partial"))
        return {file.relative_to(root).as_posix(): file.stat().st_size for file in found}

    async def receive(self, name: str, path: str, body: AsyncIterator[bytes]) -> int:
        """Write a file as it comes, whole or not at all; gives its bytes. Raises FieldError, MissingError,
        StorageError."""
        root = self._root(name)
        place = root / _safe(path)
        known = await run_in_threadpool(self.files, name)
        if len(known) >= self._limits.upload_files:
            raise FieldError(f"more than {self._limits.upload_files} files.", where="path", hint="Pack them in zips.")
        room = self._limits.upload_total - sum(known.values())
        taken = 0
        with replacing(place) as partial, partial.open("wb") as out:
            waiting = bytearray()
            async for piece in body:
                taken += len(piece)
                if taken > room:
                    raise FieldError(
                        f"together more than {self._limits.upload_total // 2**20} MiB.",
                        where="path",
                        hint="Put large collections on the server's disk, and give their path.",
                    )
                waiting += piece
                if len(waiting) >= _PIECE:
                    await run_in_threadpool(out.write, bytes(waiting))
                    waiting.clear()
            await run_in_threadpool(out.write, bytes(waiting))
        return taken

    def sources(self, name: str) -> list[Path]:
        """What has come as `lorasmith new` takes it: the one folder in which all lies, and every zip. Raises FieldError
        for an upload without files."""
        root = self._root(name)
        zips = [root / path for path in self.files(name) if path.lower().endswith(".zip") and "/" not in path]
        others = [child for child in root.iterdir() if child not in zips]
        if not zips and not others:
            raise FieldError("nothing has come yet.", where="upload", hint="Send images, or a zip of them.")
        alone = others[0] if len(others) == 1 and others[0].is_dir() else root
        return [*([alone] if others else []), *zips]

    def drop(self, name: str) -> None:
        """Remove an upload."""
        shutil.rmtree(self._root(name).parent, ignore_errors=True)

    def _root(self, name: str) -> Path:
        root = self._folder / name / _FILES
        if not _NAME.fullmatch(name) or not root.is_dir():
            raise MissingError("there is no such upload.", where="upload", hint="Drop the files again.")
        return root

    def _sweep(self) -> None:
        with suppress(OSError):
            for child in list(self._folder.iterdir()):
                if child.stat().st_mtime < time.time() - _KEPT_SECONDS:
                    shutil.rmtree(child, ignore_errors=True)
                else:
                    for inside in (child / _FILES, *(child / _FILES).glob("**/")):
                        remove_all_left_partials(inside)


def _safe(path: str) -> PurePosixPath:
    """A relative path that stays inside. Raises FieldError."""
    given = PurePosixPath(path.replace("\\", "/"))
    if not given.parts or given.is_absolute() or ".." in given.parts or "\0" in path or len(path) > 1000:
        raise FieldError(f"{path[:100]!r} is no path inside of what was dropped.", where="path", hint="Drop it again.")
    return fit(given)
