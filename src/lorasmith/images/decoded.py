"""Pictures that are decoded already: while few files are looked at several times, each is decoded once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_BYTES = 64 << 20
"""So many bytes of pixels are kept; where there are more, none are, for the files are many."""

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
"""Of these all that is known of a picture beside its pixels is in Pillow's `info`, which a copy has too."""

_Key = tuple[str, int, int, int]


class _Pictures:
    """The pictures that were decoded since somebody began to look, by their file as it was then."""

    def __init__(self) -> None:
        self.lookers = 0
        self._lock = threading.Lock()
        self._kept: dict[_Key, Image] = {}
        self._bytes = 0

    def begin(self) -> None:
        with self._lock:
            self.lookers += 1

    def end(self) -> None:
        with self._lock:
            self.lookers -= 1
            if not self.lookers:
                self._kept, self._bytes = {}, 0

    def recall(self, key: _Key) -> Image | None:
        return self._kept.get(key)

    def keep(self, key: _Key, image: Image) -> None:
        with self._lock:
            self._bytes += image.width * image.height * len(image.getbands())
            if self._bytes > MOST_BYTES:
                self._kept = {}
            elif self.lookers:
                self._kept[key] = image.copy()
                self._kept[key].format = image.format


_pictures = _Pictures()


@contextmanager
def kept_decoded() -> Iterator[None]:
    """Keep what is decoded in the meantime, up to `MOST_BYTES`, so that it is not decoded again."""
    _pictures.begin()
    try:
        yield
    finally:
        _pictures.end()


def recall(path: Path, *, drafted: bool) -> Image | None:
    """The picture in this file as it was decoded, for the caller alone; None when it is not at hand. `drafted`: only
    one that the caller could not have had smaller."""
    if not _pictures.lookers:
        return None
    try:
        image = _pictures.recall(_key(path, path.stat()))
    except OSError:
        return None
    return None if image is None or (drafted and image.format == "JPEG") else image.copy()


def keep(path: Path, stat: os.stat_result, image: Image) -> None:
    """Keep the picture that was decoded from this file, whole, if anybody wants that."""
    if _pictures.lookers and image.format in _FORMATS:
        _pictures.keep(_key(path, stat), image)


def _key(path: Path, stat: os.stat_result) -> _Key:
    return str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns
