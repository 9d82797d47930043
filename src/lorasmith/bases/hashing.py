"""The hash of a base: of its weights' names and bytes. Importable without torch."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the folder's parts, sorted; other files do not change what the base computes."""
    return sorted(file for file in folder.glob("*/*.safetensors") if file.is_file())


def hash_base(path: Path) -> str:
    """sha256 over the names and bytes of a folder's weight files: two bases with one hash compute the same.

    Of a single file it is the file's own, as every other tool gives it. A file that did not change is read once. Raises
    OSError.
    """
    if path.is_file():
        return _hash_file(path).hex()
    digest = hashlib.sha256()
    for file in weight_files(path):
        digest.update(file.relative_to(path).as_posix().encode())
        digest.update(_hash_file(file))
    return digest.hexdigest()


def _hash_file(file: Path) -> bytes:
    status = file.stat()
    return _hash_bytes(file, status.st_size, status.st_mtime_ns)


@lru_cache(256)
def _hash_bytes(file: Path, size: int, changed: int) -> bytes:
    del size, changed
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()
