"""What a picture looks like in a few numbers: perceptual hashes, how sharp it is, how it is lit, where its borders end.

Shapes: grey_HW uint8, its longer side 256 to 320 pixels (or the picture's own when smaller).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lorasmith.images.exposure import Exposure, measure_exposure
from lorasmith.images.opening import reopened, to_rgb, upright
from lorasmith.images.profiles import has_own_colours
from lorasmith.images.sharpness import measure_blur

Grey = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""Left, top, right and bottom as shares of width and height."""
_Pixels = tuple[int, int, int, int]

HASH_DISTANCE, INNER_DISTANCE = 11, 8
"""Two 64-bit hashes this far apart or nearer may show the same picture, whole or within its borders; only a second
comparison tells. What brightness cuts off at white moves up to 11 bits; borders move 8."""
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

_SIDE, _LONGEST = 256, 320
_HASH_SIDE, _HASH_WAVES, _CHANCE = 32, 8, 0.1
_FLAT = 26
"""Greys that a line of a border may differ by: JPEG writes an echo of up to 22 greys into a border."""
_LEAST_CONTENT = 0.25
_BRIGHTER = [min(255, value * 3 // 2) for value in range(256)]
_SEAM = 40
"""Where a border ends, one pixel in so many of the longer side may be of both: scaling and JPEG have mixed it."""


@dataclass(frozen=True)
class Fingerprint:
    """`phash`: 64 bits; `mirrored`: the `phash` of the mirror image; `blur`: see `measure_blur`; `inner`: the `phash`
    of what lies in `box`, the picture without its uniform borders, so many as `borders` says; `unframed`: that of the
    picture without the outermost of them, `outer_box`, which is what a drawing on white was before it got a frame;
    `bright`: that of the picture half as bright again, where much is white that was not."""

    phash: int
    mirrored: int
    blur: float
    exposure: Exposure
    inner: int
    box: Box
    borders: int
    unframed: int
    outer_box: Box = WHOLE
    bright: int = 0


def fingerprint(path: Path) -> Fingerprint:
    """Fingerprint a file in one decoding, JPEG no larger than needed. Raises ImageError."""
    return take_fingerprint(_open_grey(path))


def take_fingerprint(image: Image.Image) -> Fingerprint:
    """The fingerprint of an open picture, of any mode that Pillow turns to grey."""
    grey = image if image.mode == "L" else image.convert("L")
    if max(grey.size) > _LONGEST:
        share = _SIDE / max(grey.size)
        size = max(1, round(grey.width * share)), max(1, round(grey.height * share))
        grey = grey.resize(size, Image.Resampling.BOX)
    grey_HW = np.asarray(grey)
    phash, mirrored = hash_both_ways(grey)
    boxes = _nested_boxes(grey_HW)
    borders = len(boxes) - 1
    inner, _ = hash_both_ways(grey.crop(boxes[-1])) if borders else (phash, mirrored)
    unframed, _ = hash_both_ways(grey.crop(boxes[1])) if borders > 1 else (inner, 0)
    exposure = measure_exposure(np.bincount(grey_HW[::2, ::2].reshape(-1), minlength=256).tolist())
    return Fingerprint(
        phash,
        mirrored,
        round(measure_blur(grey_HW), 4),
        exposure,
        inner,
        _shares(boxes[-1], grey_HW),
        borders,
        unframed,
        _shares(boxes[min(borders, 1)], grey_HW),
        hash_both_ways(grey.resize((64, 64), Image.Resampling.BOX).point(_BRIGHTER))[0],
    )


def hash_both_ways(image: Image.Image) -> tuple[int, int]:
    """The perceptual hashes of a grey picture and of its mirror image.

    DCT-II of the picture at 32 x 32, its 8 x 8 longest waves, each against a little more than their median: a
    symmetric drawing has next to nothing of every other wave, and that shall not be told by chance. Mirroring negates
    the odd horizontal waves, so the second hash costs nothing.
    """
    small_HW = np.asarray(image.resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.BOX), dtype=np.float64)
    waves = _cosines()
    spectrum = waves @ small_HW @ waves.T
    return _bits(spectrum), _bits(spectrum * _MIRROR)


def content_box(grey_HW: Grey, borders: int | None = None) -> Box:
    """Where the picture lies within its borders, or within the outermost `borders` of them.

    A border is made of lines at the edge in which nothing happens, and that are of one grey; borders lie within
    borders (white around black, ...).
    """
    boxes = _nested_boxes(grey_HW)
    return _shares(boxes[-1] if borders is None else boxes[: borders + 1][-1], grey_HW)


def _open_grey(path: Path) -> Image.Image:
    with reopened(path, drafted=True) as image:
        longest, own = max(image.size), has_own_colours(image)
        image.draft(
            "RGB" if own else "L", (max(1, image.width * _SIDE // longest), max(1, image.height * _SIDE // longest))
        )
        image.load()
        if image.mode == "L" and not own and "transparency" not in image.info:
            return upright(image)
        return to_rgb(upright(image)).convert("L")


def _shares(box: _Pixels, grey_HW: Grey) -> Box:
    height, width = grey_HW.shape
    left, top, right, bottom = box
    return left / width, top / height, right / width, bottom / height


def _nested_boxes(grey_HW: Grey) -> list[_Pixels]:
    """The whole, and what is left of it after each border, from without, is taken off; in pixels.

    What is left may not be less than a quarter of a side: a dot on a sheet is a picture of a sheet.
    """
    height, width = grey_HW.shape
    boxes: list[_Pixels] = [(0, 0, width, height)]
    seam = max(2, max(height, width) // _SEAM)
    while True:
        left, top, right, bottom = box = boxes[-1]
        within = (
            left + seam * (left > 0),
            top + seam * (top > 0),
            right - seam * (right < width),
            bottom - seam * (bottom < height),
        )
        found, thin = _peel(grey_HW, within), _peel(grey_HW, box)  # a thin border may end under the seam of the last
        sides = (thin[side] if found[side] == within[side] else found[side] for side in range(4))
        left, top, right, bottom = sides
        if (left, top, right, bottom) == box or not _is_large((left, top, right, bottom), boxes[0]):
            return boxes
        boxes.append((left, top, right, bottom))


def _peel(grey_HW: Grey, box: _Pixels) -> _Pixels:
    """The box without the border at its edges, one grey on each side; itself when it has none or is nothing else."""
    left, top, right, bottom = box
    part = grey_HW[top:bottom, left:right]
    if not part.size or all(_happens(line) for line in (part[0], part[-1], part[:, 0], part[:, -1])):
        return box
    above, below = _border_lines(part)
    before, behind = _border_lines(part.T)
    if above + below >= len(part) or before + behind >= part.shape[1]:
        return box
    before, above, behind, below = _of_one_grey(part, (before, above, behind, below))
    return left + before, top + above, right - behind, bottom - below


def _of_one_grey(part: Grey, lines: _Pixels) -> _Pixels:
    """The lines left, above, right and below that are one border: of one grey, at two sides or more. A floor, or a
    shirt that is cut off at one side, is none."""
    greys = [int(np.median(line)) for line in (part[:, 0], part[0], part[:, -1], part[-1])]
    sides = [side for side in range(4) if lines[side]]
    alike = [[side for side in sides if abs(greys[side] - greys[one]) <= _FLAT] for one in sides]
    most = max(alike, key=len, default=[])
    if len(most) < 2:
        return 0, 0, 0, 0
    left, above, right, below = (count if side in most else 0 for side, count in enumerate(lines))
    return left, above, right, below


def _border_lines(lines: Grey) -> tuple[int, int]:
    """How many lines belong to the border at the first, and at the last of them."""
    low, high = lines.min(axis=1).astype(np.int16), lines.max(axis=1).astype(np.int16)
    middle = (low + high) // 2

    def count(step: int) -> int:
        border = (high - low <= _FLAT) & (np.abs(middle - middle[::step][0]) <= _FLAT)
        ends = np.flatnonzero(~border[::step])
        return int(ends[0]) if len(ends) else len(lines)

    return count(1), count(-1)


def _happens(line: Grey) -> bool:
    """Whether anything happens in a line."""
    return int(line.max()) - int(line.min()) > _FLAT


def _is_large(box: _Pixels, whole: _Pixels) -> bool:
    return all(box[side + 2] - box[side] >= _LEAST_CONTENT * whole[side + 2] for side in (0, 1))


@lru_cache(maxsize=1)
def _cosines() -> npt.NDArray[np.float64]:
    """The first 8 rows of the 32-point DCT-II matrix, unscaled: the median does not care for scale."""
    wave, place = np.arange(_HASH_WAVES)[:, None], np.arange(_HASH_SIDE)[None, :]
    return np.cos(np.pi * wave * (2 * place + 1) / (2 * _HASH_SIDE))


_MIRROR = np.where(np.arange(_HASH_WAVES) % 2 == 0, 1.0, -1.0)


def _bits(spectrum: npt.NDArray[np.float64]) -> int:
    waves = spectrum.reshape(-1)
    ordered = np.sort(waves)
    median = (ordered[len(waves) // 2 - 1] + ordered[len(waves) // 2]) / 2
    faint = _CHANCE * float(np.abs(waves[1:]).mean())
    return int.from_bytes(np.packbits(waves > median + faint).tobytes(), "big")
