"""Places of a picture that are known again in a part of it, another size or another compression; with OpenCV (the
`[vision]` extra), by ORB (Rublee et al. 2011, "ORB: an efficient alternative to SIFT or SURF").

Shapes: places_N2 float32, x and y in pixels of `size`; bits_NB uint8, B = 32 bytes a place.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lorasmith.errors import DatasetError
from lorasmith.images.crops import Box as PixelBox
from lorasmith.images.crops import open_part
from lorasmith.images.fingerprints import Box
from lorasmith.remedies import Install

MOST = 500
"""Places of one picture."""
LEAST_INLIERS = 15
"""So many places must lie in the part as they do in the whole."""

_SIDE = 512
_BITS = 32
_FAR = 8 * _BITS + 1
_EDGE = 31
"""Pixels at each edge where no place is looked for (ORB's own default); thinner pictures have none."""
_LIKE = 0.8
"""The nearest place must be this much nearer than the second (Lowe 2004, section 7.1)."""
_MISS = 4.0
"""Pixels that a place may lie off."""
_TURN = 0.05
_BEYOND = 0.03
"""A part may reach so far out of the whole, as a share of its side."""
_LARGEST = 0.92
"""A part that is more of the whole than this is no cutting, but the picture."""
_Places = npt.NDArray[np.float32]
_Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Keypoints:
    """The places of a picture of `size` (width, height), as it was looked at."""

    size: tuple[int, int]
    places: _Places
    bits: _Bits

    def pack(self) -> bytes:
        """As bytes, for keeping."""
        return np.array([*self.size, len(self.places)], "<u4").tobytes() + self.places.tobytes() + self.bits.tobytes()


def unpack(data: bytes) -> Keypoints:
    """What `Keypoints.pack` gave. Raises ValueError for other bytes."""
    width, height, count = (int(value) for value in np.frombuffer(data[:12], "<u4"))
    if len(data) != 12 + count * (8 + _BITS):
        raise ValueError("no packed keypoints")
    places = np.frombuffer(data[12 : 12 + 8 * count], np.float32).reshape(count, 2)
    return Keypoints((width, height), places, np.frombuffer(data[12 + 8 * count :], np.uint8).reshape(count, _BITS))


def can_see() -> bool:
    """Whether OpenCV is installed."""
    return find_spec("cv2") is not None


def find_keypoints(path: Path, crop: PixelBox | None = None) -> Keypoints:
    """The places of a picture, or of a part of it. Raises ImageError; DatasetError without OpenCV."""
    return take_keypoints(open_part(path, crop))


def take_keypoints(image: Image.Image) -> Keypoints:
    """The places of an open picture; none of a plain one."""
    cv2 = _opencv()
    grey = image.convert("L")
    share = _SIDE / max(grey.size)
    size = max(1, round(grey.width * share)), max(1, round(grey.height * share))
    if size != grey.size:
        grey = grey.resize(size, Image.Resampling.BOX if share < 1 else Image.Resampling.BICUBIC)
    bits = None
    if min(size) > 2 * _EDGE:
        found, bits = cv2.ORB_create(nfeatures=MOST, edgeThreshold=_EDGE).detectAndCompute(np.asarray(grey), None)
    if bits is None:
        return Keypoints(size, np.empty((0, 2), np.float32), np.empty((0, _BITS), np.uint8))
    places = np.array([place.pt for place in found[:MOST]], np.float32)
    return Keypoints(size, places, np.ascontiguousarray(bits[:MOST]))


def place_within(part: Keypoints, whole: Keypoints) -> Box | None:
    """Where `part` lies in `whole`, upright and smaller than it, as shares of its width and height; None when it does
    not. Different pictures with much in common may lie in each other, too: the pixels have to be compared."""
    return place_both_ways(part, whole)[0]


def place_both_ways(one: Keypoints, other: Keypoints) -> tuple[Box | None, Box | None]:
    """`place_within` of the one in the other, and of the other in the one."""
    if min(len(one.places), len(other.places)) < LEAST_INLIERS:
        return None, None
    apart = _distances(one.bits, other.bits)
    return _place(apart, one, other), _place(np.ascontiguousarray(apart.T), other, one)


def _distances(bits_NB: _Bits, others_MB: _Bits) -> npt.NDArray[np.uint16]:
    """How many bits differ, (N, M)."""
    words, others = (np.ascontiguousarray(bits).view(np.uint64) for bits in (bits_NB, others_MB))
    apart = np.zeros((len(words), len(others)), np.uint16)
    for word in range(words.shape[1]):
        apart += np.bitwise_count(words[:, word, None] ^ others[None, :, word])
    return apart


def _place(apart: npt.NDArray[np.uint16], part: Keypoints, whole: Keypoints) -> Box | None:
    """By the bits that are `apart` (part, whole), which is written to."""
    rows = np.arange(len(apart))
    nearest = apart.argmin(1)
    best = apart[rows, nearest]
    apart[rows, nearest] = _FAR
    good = np.flatnonzero(best < _LIKE * apart.min(1))
    apart[rows, nearest] = best
    if len(good) < LEAST_INLIERS:
        return None
    cv2 = _opencv()
    cv2.setRNGSeed(0)
    here, there = part.places[good], whole.places[nearest[good]]
    way, inliers = cv2.estimateAffinePartial2D(here, there, method=cv2.RANSAC, ransacReprojThreshold=_MISS)
    if way is None or int(inliers.sum()) < LEAST_INLIERS:
        return None
    return _box(way, part.size, whole.size)


def _box(way: npt.NDArray[np.float64], part: tuple[int, int], whole: tuple[int, int]) -> Box | None:
    """The part's frame in the whole, from the similarity `way` (2 x 3)."""
    scale, turn = float(way[0, 0]), float(way[1, 0])
    if scale <= 0 or abs(turn) > _TURN * scale:
        return None
    middle = way @ np.array([part[0] / 2, part[1] / 2, 1.0])
    left, right = ((middle[0] + sign * scale * part[0] / 2) / whole[0] for sign in (-1, 1))
    top, bottom = ((middle[1] + sign * scale * part[1] / 2) / whole[1] for sign in (-1, 1))
    if min(left, top) < -_BEYOND or max(right, bottom) > 1 + _BEYOND:
        return None
    left, top, right, bottom = (float(min(1.0, max(0.0, edge))) for edge in (left, top, right, bottom))
    share = (right - left) * (bottom - top)
    return (left, top, right, bottom) if 0 < share <= _LARGEST else None


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise DatasetError(
            "looking for cropped copies needs the package opencv-python-headless.",
            hint="Install it:",
            remedy=Install("vision"),
        ) from None
    cv2.setNumThreads(1)
    return cv2
