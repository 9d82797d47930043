"""Collect images from the web with gallery-dl, run as a program of its own (it is GPL: never imported)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from lorasmith.dataset.folders import find_files, printable
from lorasmith.dataset.sources.gallery import offer_gallery
from lorasmith.dataset.sources.source import Piece
from lorasmith.errors import DatasetError, StorageError, UsageError
from lorasmith.events import Note, Progress, Work

PROGRAM = "gallery-dl"
_INSTALL = f"Install it as a program of its own, such as with: pipx install {PROGRAM}"
_REASONS = {64: "it knows no way to read this address", 16: "the site wants a login", 8: "there is nothing at it"}
_TAIL = 4096


@dataclass(frozen=True)
class Collected:
    """What lies in `folder` now: images, and of how many of them the licence is known; `new` came this time."""

    folder: Path
    new: int
    images: int
    licensed: int


def collect(address: str, into: Path) -> Work[Collected]:
    """Let gallery-dl fill `into` from a web address, with a JSON of metadata beside every picture.

    Pictures that are there already are not fetched again. Raises UsageError for what is no web address; DatasetError
    when the program is missing, or fails without a picture; StorageError.
    """
    _check(address)
    program = shutil.which(PROGRAM)
    if program is None:
        raise DatasetError(f"{PROGRAM} is not installed; it does the collecting.", hint=_INSTALL)
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise StorageError(f"cannot be made: {fault.strerror}.", where=printable(str(into))) from None
    command = [program, "--write-metadata", f"--destination={into.resolve()}", "--", address]
    with tempfile.TemporaryFile() as said:
        new, code = yield from _run(command, said)
        said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL))
        complaint = _complaint(code, said.read().decode("utf-8", "replace"))
    found = find_files(into)
    if code and not new:
        raise DatasetError(f"{PROGRAM} brought nothing: {complaint}", where=address, hint=f"Try: {PROGRAM} {address}")
    if not found.images:
        raise DatasetError("no images came from there.", where=address, hint="Give the page of a gallery.")
    if code:
        yield Note(f"not everything came: {complaint}", level="warning")
    return Collected(into, new, len(found.images), _licensed(into))


def _check(address: str) -> None:
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc or not address.isprintable() or " " in address:
        raise UsageError(f"{printable(address)}: not a web address.", hint="It begins with https://")


def _run(command: Sequence[str], said: IO[bytes]) -> Work[tuple[int, int]]:
    """Run the program; (files that came, exit code). It is ended with us, whatever happens."""
    new = 0
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
    except OSError as fault:
        raise DatasetError(f"cannot be run: {fault.strerror}.", where=command[0], hint=_INSTALL) from None
    with process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip() and not line.startswith(b"#"):  # "# path" is one that was there already
                    new += 1
                    yield Progress("collecting", new, new + 1)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
    yield Progress("collecting", new, new)
    return new, code


def _complaint(code: int, said: str) -> str:
    """The reason, by the program's exit code (a sum of flags), and its last words."""
    reason = next((text for flag, text in _REASONS.items() if code > 0 and code & flag), f"it ended with code {code}")
    words = [line.strip() for line in said.splitlines() if line.strip()]
    return f"{reason}." + (f" It said: {printable(words[-1])[:200]}" if words else "")


def _licensed(folder: Path) -> int:
    offer = offer_gallery(folder)
    pieces = offer.contents if offer else ()
    return sum(isinstance(piece, Piece) and piece.is_image and piece.origin.licence != "" for piece in pieces)
