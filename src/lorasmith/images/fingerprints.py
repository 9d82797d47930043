"""What a picture looks like in a few numbers: a perceptual hash, its mirror image's, and how sharp it is.

Shapes: grey_HW float64 in 0..255; look_HWC uint8, 64 x 64 x RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lorasmith.images.opening import open_small

Grey = npt.NDArray[np.float64]
Look = npt.NDArray[np.uint8]

HASH_DISTANCE = 8
"""Two 64-bit hashes this far apart or nearer may show the same picture; only a second look tells."""

SHARPNESS_SIDE = 512
LOOK_SIDE = 64
_HASH_SIDE, _HASH_WAVES = 32, 8
_BLOCK, _BLOCK_DIFFERENCE = 4, 18
_SIGMA, _RADIUS = 2.0, 6
_ROUNDING, _CONTRAST = 2.5, 16.0
"""The variance that rounding to whole greys gives a Laplacian (20/12, and a little more); greys with some contrast."""


@dataclass(frozen=True)
class Fingerprint:
    """`phash`: 64 bits; `mirrored`: the `phash` of the mirror image; `blur`: see `reblur_ratio`, at 512 pixels."""

    phash: int
    mirrored: int
    blur: float


def fingerprint(path: Path) -> Fingerprint:
    """Fingerprint a file in one decoding. Raises ImageError."""
    image = open_small(path, SHARPNESS_SIDE).convert("L")
    phash, mirrored = hash_both_ways(image)
    image.thumbnail((SHARPNESS_SIDE, SHARPNESS_SIDE), Image.Resampling.BOX)
    return Fingerprint(phash, mirrored, reblur_ratio(np.asarray(image, dtype=np.float64)))


def hash_both_ways(image: Image.Image) -> tuple[int, int]:
    """The perceptual hashes of a grey picture and of its mirror image.

    DCT-II of the picture at 32 x 32, its 8 x 8 longest waves, each against their median. Mirroring negates the odd
    horizontal waves, so the second hash costs nothing.
    """
    small_HW = np.asarray(image.resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.BOX), dtype=np.float64)
    waves = _cosines()
    spectrum = waves @ small_HW @ waves.T
    signs = np.where(np.arange(_HASH_WAVES) % 2 == 0, 1.0, -1.0)
    return _bits(spectrum), _bits(spectrum * signs)


def reblur_ratio(grey_HW: Grey) -> float:
    """var(Laplacian of the blurred picture) / var(Laplacian), blur of sigma 2: how little a further blur changes.

    At 512 pixels sharp pictures give up to 0.03, pictures enlarged fourfold 0.10 to 0.15, a blur of sigma 3 pixels
    0.25 and more; contrast does not matter. A picture without any edge gives 0, or 1 where it has contrast: then it is
    so blurred that the rounding of its greys hides what little the blur left.
    """
    before = float(_laplacian(grey_HW).var())
    if min(grey_HW.shape) < 2 * _RADIUS or before < 1e-9:
        return 0.0
    if before < _ROUNDING and float(grey_HW.std()) > _CONTRAST:
        return 1.0
    return float(_laplacian(_blurred(grey_HW)).var()) / before


def look(path: Path) -> Look:
    """The picture at 64 x 64 pixels, its aspect ratio ignored. Raises ImageError."""
    image = open_small(path, LOOK_SIDE)
    return np.asarray(image.resize((LOOK_SIDE, LOOK_SIDE), Image.Resampling.BOX))


def looks_same(one: Look, other: Look) -> bool:
    """The second look: whether two pictures differ as little as recompression and resizing make them differ.

    Hashes confuse different drawings on one background. No block of 4 x 4 pixels may differ by 18 of 255 or more in
    its mean: on drawings, JPEG at quality 20 stays under 15, enlarging under 12, and a closed eye starts at 21.
    """
    cells = LOOK_SIDE // _BLOCK
    difference = one.astype(np.int16) - other.astype(np.int16)
    blocks = difference.reshape(cells, _BLOCK, cells, _BLOCK, 3).mean(axis=(1, 3))
    return bool(np.abs(blocks).max() < _BLOCK_DIFFERENCE)


@lru_cache(maxsize=1)
def _cosines() -> Grey:
    """The first 8 rows of the 32-point DCT-II matrix, unscaled: the median does not care for scale."""
    wave, place = np.arange(_HASH_WAVES)[:, None], np.arange(_HASH_SIDE)[None, :]
    return np.cos(np.pi * wave * (2 * place + 1) / (2 * _HASH_SIDE))


def _bits(spectrum: Grey) -> int:
    bits = (spectrum > np.median(spectrum)).reshape(-1)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _blurred(grey_HW: Grey) -> Grey:
    """Gaussian blur without the margin that the kernel cannot cover."""
    reach = np.arange(-_RADIUS, _RADIUS + 1)
    kernel = np.exp(-(reach**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()
    height, width = (side - 2 * _RADIUS for side in grey_HW.shape)
    rows_HW = np.zeros((height, grey_HW.shape[1]))
    for start, weight in enumerate(kernel):
        rows_HW += weight * grey_HW[start : start + height]
    blurred_HW = np.zeros((height, width))
    for start, weight in enumerate(kernel):
        blurred_HW += weight * rows_HW[:, start : start + width]
    return blurred_HW


def _laplacian(grey_HW: Grey) -> Grey:
    middle = grey_HW[1:-1, 1:-1]
    return grey_HW[:-2, 1:-1] + grey_HW[2:, 1:-1] + grey_HW[1:-1, :-2] + grey_HW[1:-1, 2:] - 4 * middle
