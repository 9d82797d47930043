"""PNG files of any size, written from bands: no more than one band is in memory."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from lorasmith.storage.files import replacing

GREATEST_SIDE = 2**31 - 1  # PNG, second edition, 11.2.2
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 6


def write_png(path: Path, size: tuple[int, int], bands: Iterable[Image.Image]) -> Path:
    """Write RGB bands of the full width, top to bottom, as one PNG; the whole file or nothing. Raises StorageError.

    The bands' heights must sum to the size's (ValueError).
    """
    with replacing(path) as partial, partial.open("wb") as out:
        for piece in _pieces(size, bands):
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return path


def _pieces(size: tuple[int, int], bands: Iterable[Image.Image]) -> Iterator[bytes]:
    width, height = size
    if not (0 < width <= GREATEST_SIDE and 0 < height <= GREATEST_SIDE):
        raise ValueError(f"{width}x{height} is no size of a PNG")
    yield _SIGNATURE
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    press = zlib.compressobj(_LEVEL)
    written = 0
    for band in bands:
        if band.width != width:
            raise ValueError(f"a band of width {band.width} in a picture of width {width}")
        written += band.height
        data = press.compress(_filter(band))
        if data:
            yield _chunk(b"IDAT", data)
    if written != height:
        raise ValueError(f"bands of height {written} in a picture of height {height}")
    yield _chunk(b"IDAT", press.flush())
    yield _chunk(b"IEND", b"")


def _filter(band: Image.Image) -> bytes:
    """The rows with filter type 1: each byte less that of the pixel before (PNG, 9.2)."""
    pixels = np.asarray(band.convert("RGB"), dtype=np.uint8).reshape(band.height, -1)
    rows = np.empty((band.height, 1 + pixels.shape[1]), dtype=np.uint8)
    rows[:, 0] = 1
    rows[:, 1:] = pixels
    rows[:, 4:] -= pixels[:, :-3]
    return rows.tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
