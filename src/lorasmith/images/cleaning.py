"""Pictures that say nothing but themselves: no EXIF, place, camera, comment, prompt or hidden second picture."""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from lorasmith.errors import ImageError
from lorasmith.images.opening import open_rgb, opened
from lorasmith.images.profiles import has_own_colours

SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "BMP": ".bmp"}
"""The formats that trainers read, by Pillow's name; all others are handed over as PNG."""

_OPAQUE = ("RGB", "L", "P", "1")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT"}
)
_WEBP_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ICCP"})
_WEBP_ABOUT = 0b0000_1100  # the flags of VP8X that promise EXIF and XMP chunks
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SOS, _EOI, _COM = 0xDA, 0xD9, 0xFE
_BARE_JFIF = 14


def is_plain(path: Path) -> bool:
    """Whether a trainer may be given the file itself: it carries no metadata and nothing behind the picture, and
    needs no turning, flattening or conversion of its colours. Reads headers only. Raises ImageError."""
    with opened(path) as image:
        kind = image.format or ""
        if kind not in SUFFIXES or not _is_simple(image):
            return False
        with path.open("rb") as file:
            return _is_bare(kind, file)


def suffix_of(path: Path) -> str:
    """The extension that fits what is in the file, such as ".jpg"; ".png" for all that trainers do not read."""
    with opened(path) as image:
        return SUFFIXES.get(image.format or "", ".png")


def write_plain(path: Path, target: Path, box: tuple[int, int, int, int] | None = None) -> Path:
    """Write a plain copy, or the part in `box` (left, top, right, bottom after EXIF rotation), and give its path:
    `target` with the extension that fits.

    Metadata is cut out of PNG, JPEG and WebP without touching the pixels; profiles of sRGB stay. What must be turned,
    cropped, flattened onto white, brought to sRGB or reduced to 8 bits becomes a PNG. Raises ImageError, OSError.
    """
    if box is None and (bare := _bare_bytes(path)) is not None:
        whole = target.with_name(target.name + suffix_of(path))
        whole.write_bytes(bare)
        return whole
    picture, profile = open_rgb(path), _profile(path)
    whole = target.with_name(target.name + ".png")
    (picture if box is None else picture.crop(box)).save(whole, icc_profile=profile, exif=b"")
    return whole


def _is_simple(image: Image.Image) -> bool:
    """8 bits of sRGB, opaque, upright, one frame (the further pictures of a camera's MPO are cut off)."""
    single = image.format == "MPO" or getattr(image, "n_frames", 1) == 1
    plain = image.mode in _OPAQUE and "transparency" not in image.info and not has_own_colours(image)
    return plain and single and not _is_turned(image)


def _is_turned(image: Image.Image) -> bool:
    try:
        return image.getexif().get(0x0112, 1) not in (0, 1)
    except Exception:  # broken EXIF counts as none, as in `opening.upright`
        return False


def _profile(path: Path) -> bytes | None:
    """The colour profile, where it still fits the picture as RGB."""
    with opened(path) as image:
        stays = image.mode in ("RGB", "RGBA", "P") and not has_own_colours(image)
        return image.info.get("icc_profile") if stays else None


def _is_bare(kind: str, file: BinaryIO) -> bool:
    size = os.fstat(file.fileno()).st_size
    try:
        if kind == "PNG":
            return _png_is_bare(file, size)
        if kind == "WEBP":
            return _webp_is_bare(file, size)
        return kind == "BMP" or _jpeg_is_bare(file, size)
    except struct.error:
        return False


def _png_is_bare(file: BinaryIO, size: int) -> bool:
    file.seek(len(_PNG_SIGNATURE))
    while True:
        length, name = struct.unpack(">I4s", file.read(8))
        end = file.seek(length + 4, io.SEEK_CUR)
        if name not in _PNG_CHUNKS:
            return False
        if name == b"IEND":
            return end == size


def _webp_is_bare(file: BinaryIO, size: int) -> bool:
    _, length, _ = struct.unpack("<4sI4s", file.read(12))
    if length + 8 != size:
        return False
    while file.tell() < size:
        name, length = struct.unpack("<4sI", file.read(8))
        if name not in _WEBP_CHUNKS:
            return False
        file.seek(length + length % 2, io.SEEK_CUR)
    return True


def _jpeg_is_bare(file: BinaryIO, size: int) -> bool:
    file.seek(2)
    while True:
        edge, marker, length = struct.unpack(">BBH", file.read(4))
        if edge != 0xFF or length < 2:
            return False
        if marker == _SOS:
            break
        if not _jpeg_keeps(marker, file.read(length - 2)):
            return False
    file.seek(size - 2)
    return file.read(2) == b"\xff\xd9"


def _jpeg_keeps(marker: int, payload: bytes) -> bool:
    """Whether a segment belongs to the picture: the colour profile and colour transform do, all else about it not."""
    if marker == 0xE0:
        return payload.startswith(b"JFIF\0") and len(payload) == _BARE_JFIF
    if marker == 0xE2:
        return payload.startswith(b"ICC_PROFILE\0")
    if marker == 0xEE:
        return payload.startswith(b"Adobe")
    return not 0xE0 <= marker <= 0xEF and marker != _COM


def _bare_bytes(path: Path) -> bytes | None:
    """The file without what is about the picture; None when its pixels must be changed as well."""
    with opened(path) as image:
        kind = image.format or ""
        if kind not in SUFFIXES or not _is_simple(image):
            return None
    data = path.read_bytes()
    try:
        if kind == "PNG":
            return _PNG_SIGNATURE + b"".join(_bare_png(data))
        if kind == "WEBP":
            body = b"WEBP" + b"".join(_bare_webp(data))
            return b"RIFF" + struct.pack("<I", len(body)) + body
        return data if kind == "BMP" else b"".join(_bare_jpeg(data))
    except (struct.error, IndexError):
        raise ImageError("damaged or cut off.", where=path, hint="Get the file again, or remove it.") from None


def _bare_png(data: bytes) -> Iterator[bytes]:
    place = len(_PNG_SIGNATURE)
    while True:
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if name in _PNG_CHUNKS:
            yield data[place:end]
        if name == b"IEND":
            return
        place = end


def _bare_webp(data: bytes) -> Iterator[bytes]:
    place, whole = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while place + 8 <= whole:
        name, length = struct.unpack_from("<4sI", data, place)
        end = place + 8 + length + length % 2
        if name == b"VP8X":
            yield data[place : place + 8] + bytes([data[place + 8] & ~_WEBP_ABOUT]) + data[place + 9 : end]
        elif name in _WEBP_CHUNKS:
            yield data[place:end]
        place = end


def _bare_jpeg(data: bytes) -> Iterator[bytes]:
    yield data[:2]
    place, in_scan = 2, False
    while found := _MARKER.search(data, place):
        if in_scan:  # between other segments there is nothing but fill bytes
            yield data[place : found.start()]
        marker, start = data[found.end() - 1], found.start()
        in_scan = marker == _SOS
        if marker == _EOI:
            break
        end = found.end() + struct.unpack_from(">H", data, found.end())[0]
        if _jpeg_keeps(marker, data[found.end() + 2 : end]):
            yield data[start:end]
        elif marker == 0xE0 and data[found.end() + 2 :].startswith(b"JFIF\0"):  # with a thumbnail: keep all but that
            head = data[found.end() + 2 : found.end() + 14]
            yield b"\xff\xe0" + struct.pack(">H", _BARE_JFIF + 2) + head + b"\0\0"
        place = end
    yield b"\xff\xd9"
