"""Open picture files safely: whatever the file holds, the caller gets a picture or one clear ImageError."""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lorasmith.errors import ImageError, StorageError
from lorasmith.images import decoded
from lorasmith.images.profiles import to_srgb
from lorasmith.remedies import Install, Sentence
from lorasmith.storage.remote import bring

EXTENSIONS = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
        *(".avif", ".jxl", ".heic", ".heif", ".hif"),
    }
)
"""What counts as a picture by name (lower case). JXL and HEIC are read where a library for them is installed."""

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "JXL", "HEIF")
"""What a file may hold, whatever its name: other readers of Pillow start programs or read what is no picture."""

MOST_PIXELS = 1 << 28
"""Phones make pictures of 200 million pixels; what promises more than this is taken for a trap."""

_USUAL_LIMIT = 1024 * 1024 * 1024 // 4 // 3
"""`Image.MAX_IMAGE_PIXELS` as Pillow ships it; it refuses twice that."""
_READERS = {"pillow_heif": ("register_heif_opener",), "pillow_jxl": ()}
"""Libraries that make Pillow read more, and what to call once they are imported."""
_BAND = 1 << 24
"""Pixels of a large picture that are worked on at once."""

_ORIENTATION = 0x0112
_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_WITH_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")


@dataclass(frozen=True)
class ImageFacts:
    """What is known of one readable file. `width` and `height` are pixels after EXIF rotation; `format` is
    Pillow's name in lower case; `sha256` is of the file's bytes, in hex; `moves` whether it holds several frames."""

    path: Path
    width: int
    height: int
    format: str
    sha256: str
    moves: bool = False


def is_image_name(path: Path) -> bool:
    """Whether the extension, in any case, is that of a picture."""
    return path.suffix.lower() in EXTENSIONS


def look_at(path: Path | str) -> ImageFacts:
    """The facts of a file that was decoded to its last byte. Raises ImageError (no image, truncated, bomb).

    JPEG is decoded at an eighth of its size: every byte is read, at a fraction of the cost.
    """
    path = Path(path)
    with opened(path) as image:
        width, height = upright_size(image)
        kind = (image.format or path.suffix[1:]).lower()
        moves = image.format != "MPO" and bool(getattr(image, "is_animated", False))
        image.draft("RGB", (max(1, image.width // 8), max(1, image.height // 8)))
        image.load()
    return ImageFacts(path, width, height, kind, _file_hash(path), moves)


def open_rgb(path: Path | str) -> Image.Image:
    """The picture in sRGB, upright, transparency on white, the first frame of several. Raises ImageError."""
    path = Path(path)
    with reopened(path, drafted=False) as image:
        image.load()
        return to_rgb(upright(image))


def open_small(path: Path | str, side: int) -> Image.Image:
    """Like `open_rgb`, with both sides at least `side` pixels but JPEG decoded no larger than needed."""
    path = Path(path)
    with opened(path) as image:
        image.draft("RGB", (side, side))
        image.load()
        return to_rgb(upright(image))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to sRGB: 16-bit and float greys are scaled, not clipped; transparency goes on white; colours of
    another profile are brought over."""
    if image.mode in _DEEP_MODES:
        return _grey_of_deep(image).convert("RGB")
    image = to_srgb(image)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says; broken EXIF counts as none."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF is free-form bytes: Pillow raises whatever its parser trips over
        return image


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An open Pillow image; every way in which opening or decoding can fail becomes one ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = _check_regular(path)
            _allow_large()
            with Image.open(path, formats=_readable_formats()) as image:
                size, mode = image.size, image.mode
                yield image
                if (image.size, image.mode) == (size, mode) and not getattr(image, "tile", ()):
                    decoded.keep(path, file, image)  # all of it was decoded, at its own size
    except (ImageError, StorageError):
        raise
    except FileNotFoundError:
        raise ImageError("no such file.", where=path) from None
    except Image.DecompressionBombError:
        limit = f"{2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000} million pixels"
        raise ImageError(
            f"larger than {limit}, which may be a trap.", where=path, hint="Scale it down first."
        ) from None
    except UnidentifiedImageError:
        raise _unidentified(path) from None
    except Exception as fault:  # decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error, ...
        raise ImageError(
            f"damaged or cut off ({_short(fault)}).", where=path, hint="Get the file again, or remove it."
        ) from None


@contextmanager
def reopened(path: Path, *, drafted: bool) -> Iterator[Image.Image]:
    """Like `opened`, but what is decoded already (`decoded.kept_decoded`) is not decoded again. `drafted`: a JPEG will
    be decoded at less than its size."""
    known = decoded.recall(path, drafted=drafted)
    if known is not None:
        yield known
        return
    with opened(path) as image:
        yield image


def _check_regular(path: Path) -> os.stat_result:
    """Refuse what blocks when it is opened (a pipe, a socket) or never ends (a device)."""
    try:
        found = path.stat()
    except FileNotFoundError:
        bring(path)  # in a worker on another machine
        found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ImageError("not a file that can be read from its start.", where=path, hint="Remove it.")
    return found


@functools.cache
def _readable_formats() -> tuple[str, ...]:
    """Those of FORMATS that the installed Pillow reads, with the libraries that help it."""
    for library, calls in _READERS.items():
        try:
            module = importlib.import_module(library)
        except ImportError:
            continue
        for call in calls:
            getattr(module, call)()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _allow_large() -> None:
    """Let Pillow open up to MOST_PIXELS, unless somebody has set a limit."""
    if Image.MAX_IMAGE_PIXELS == _USUAL_LIMIT:
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2


def _unidentified(path: Path) -> ImageError:
    hint = "Remove it, or save it as PNG or JPEG."
    if path.stat().st_size == 0:
        return ImageError("an empty file, not an image.", where=path, hint=hint)
    message = f"{path.suffix[1:].upper()} cannot be read by the installed Pillow, or it is damaged."
    if path.suffix.lower() in (".heic", ".heif", ".hif"):
        remedy = Sentence("A library for it: ", Install("formats"), ".")
        return ImageError(message, where=path, hint="Save it as PNG or JPEG.", remedy=remedy)
    if path.suffix.lower() in (".jxl", ".avif"):
        return ImageError(message, where=path, hint="Save it as PNG or JPEG.")
    return ImageError("not an image, whatever its name says.", where=path, hint=hint)


def _short(fault: Exception) -> str:
    return (str(fault) or type(fault).__name__).splitlines()[0][:120]


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) as shown, after EXIF rotation; nothing is decoded. Pillow has turned a TIFF's size itself."""
    try:
        turned = image.format != "TIFF" and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:  # as in `upright`
        turned = False
    return (image.height, image.width) if turned else (image.width, image.height)


def _on_white(image: Image.Image) -> Image.Image:
    """A transparent picture on white as RGB, some rows at a time."""
    made = Image.new("RGB", image.size)
    for box in _bands(image):
        layer = image.crop(box).convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        made.paste(Image.alpha_composite(white, layer).convert("RGB"), box)
    return made


def _grey_of_deep(image: Image.Image) -> Image.Image:
    """8-bit grey of a 16-bit, 32-bit or float picture; the range is taken from the largest value."""
    values = np.asarray(image)
    top = float(values.max(initial=0))
    full = next((limit for limit in (1.0, 255.0, 65535.0) if top <= limit), top)
    if image.mode.startswith("I;16"):
        full = 65535.0
    elif image.mode == "I" and full == 1.0:
        full = 255.0
    made = np.empty(values.shape, np.uint8)
    for _, above, _, below in _bands(image):
        rows = values[above:below].astype(np.float64) * (255.0 / full) + 0.5
        made[above:below] = np.clip(rows, 0, 255).astype(np.uint8)
    return Image.fromarray(made)


def _bands(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """The boxes of as many rows as are worked on at once; one for all but large pictures."""
    rows = max(1, _BAND // max(1, image.width))
    for above in range(0, image.height, rows):
        yield 0, above, image.width, min(above + rows, image.height)


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
