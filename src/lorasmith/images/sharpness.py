"""How blurred a picture is, from what a further blur takes away at several scales.

Shapes: grey_HW uint8, its longer side about 256 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
_Light = npt.NDArray[Any]

_SMOOTH = np.array([1, 8, 28, 56, 70, 56, 28, 8, 1], np.float32) / np.float32(256)
"""Binomial weights, a blur of sigma sqrt(2)."""
_ROUNDING = 20 / 12
"""The variance that rounding to whole greys gives a Laplacian; halving a picture leaves a quarter of it."""
_CLEAR = (4.0, 1.2, 0.35, 0.1)
"""The variance of the Laplacian from which a picture, and its halves, say something, level by level."""
_SOFT = (0.0, 0.25, 0.16, 0.2)
"""The reblur ratio that only a blurred picture has at a half, a quarter and an eighth of its size. Sharp pictures give
0.1 at most there; a JPEG's blocks hide a blur at the full size, not there."""
_FROM, _SPAN = (0.0, 0.5, 0.65, 0.8), (1.0, 0.25, 0.25, 0.15)
"""Where a level's values begin, and what its reblur ratio counts."""
_FULL = 0.6
"""A reblur ratio rises with blur up to here; above, it is noise that is counted."""
_FAINT, _CONTRAST = 0.05, 16.0
"""Where the full size says nothing, a picture is blurred when its halves are, or when it has contrast all the same:
nothing but a blur, or a JPEG of one, takes all edges from it."""
_SURELY, _STRONG = 0.1, 80.0
"""A picture of so low a ratio and so strong edges is sharp; the blocks of a JPEG give weaker ones."""
_COARSE, _EDGES = 8, 0.007
"""Gradients, skies and glows, recompressed ones too, give at an eighth of the size a Laplacian of up to 0.006 of the
picture's variance, drawings that are blurred by 20 pixels in 512 0.023 and more."""
_EVERY = 3
"""At the full size the blurred Laplacian is read at every third pixel: its neighbours say the same."""


def measure_blur(grey_HW: Grey) -> float:
    """0 for a sharp picture, rising with every further blur to 1: the reblur ratio var(Laplacian of the blurred
    picture) / var(Laplacian), blur of sigma 1.4, at the scale that the blur has left; contrast does not matter.

    At 256 pixels sharp pictures give up to 0.06, pictures enlarged twofold 0.015 to 0.085, fourfold 0.085 to 0.2. A
    blur of 3 pixels in 512 gives 0.25 to 0.55, of 6 pixels 0.55 to 0.7, of 16 pixels 0.65 to 0.9 (drawings and
    photographs, docs/likeness.md). Where nothing has edges (a blank sheet, a gradient, a smooth sky) nobody can
    tell: 0.
    """
    levels: list[tuple[float, float]] = []
    for picture in _halvings(grey_HW):
        levels.append(_reblur(picture, len(levels)))
        if len(levels) == 1 and levels[0][0] > _STRONG and levels[0][1] < _SURELY:
            break
    for number in range(len(levels) - 1, 0, -1):
        variance, ratio = levels[number]
        if variance > _CLEAR[number] and ratio >= _SOFT[number]:
            return _value(number, ratio) if _has_coarse_edges(grey_HW) else 0.0
    for number, (variance, ratio) in enumerate(levels):
        if variance > _CLEAR[number]:
            is_clear = ratio >= _FAINT or float(grey_HW.std()) > _CONTRAST
            return _value(number, ratio) if not number or (is_clear and _has_coarse_edges(grey_HW)) else 0.0
    return 0.0


def _value(number: int, ratio: float) -> float:
    return _FROM[number] + _SPAN[number] * min(ratio, _FULL)


def _halvings(grey_HW: Grey) -> Iterator[_Light]:
    """The picture and its halves, as many as there are levels and as are larger than the kernels; values grow fourfold
    with each."""
    picture: _Light = grey_HW.astype(np.int16)
    for number in range(len(_CLEAR)):
        if number:
            height, width = (side // 2 * 2 for side in picture.shape)
            above, below = picture[0:height:2], picture[1:height:2]
            lines = above + below
            picture = lines[:, 0:width:2] + lines[:, 1:width:2]
        if min(picture.shape) < len(_SMOOTH) + 4:
            return
        yield picture


def _reblur(picture_HW: _Light, number: int) -> tuple[float, float]:
    """(variance of the Laplacian, reblur ratio), both without rounding's part, of the picture halved so often."""
    edges = _laplacian(picture_HW).astype(np.float32)
    if number:
        edges /= 4**number
    variance, rounding = _variance(edges), _ROUNDING / 4**number
    if variance <= 1.2 * rounding:
        return 0.0, 0.0
    every = 1 if number else _EVERY
    smooth = _smooth(_smooth(edges, every).T.copy(), every)
    return variance, _variance(smooth) / (variance - rounding)


def _laplacian(picture_HW: _Light) -> _Light:
    laplacian = picture_HW[:-2, 1:-1] + picture_HW[2:, 1:-1]
    laplacian += picture_HW[1:-1, :-2]
    laplacian += picture_HW[1:-1, 2:]
    laplacian -= 4 * picture_HW[1:-1, 1:-1]
    return laplacian


def _has_coarse_edges(grey_HW: Grey) -> bool:
    """Whether the picture has edges at an eighth of its size, where a blur hides little and JPEG blocks are gone."""
    small = _shrunk(grey_HW, _COARSE)
    return min(small.shape) > 2 and _variance(_laplacian(small)) > _EDGES * _variance(small)


def _shrunk(grey_HW: Grey, times: int) -> _Light:
    """Means over squares of `times` pixels."""
    height, width = (side // times for side in grey_HW.shape)
    blocks = grey_HW[: height * times, : width * times].reshape(height, times, width, times)
    small: _Light = blocks.mean(axis=(1, 3), dtype=np.float32)
    return small


def _smooth(lines: npt.NDArray[np.float32], every: int) -> npt.NDArray[np.float32]:
    """Blur down the columns, read at so many lines only of those that the kernel covers."""
    count = (len(lines) - len(_SMOOTH)) // every + 1

    def read(start: int) -> npt.NDArray[np.float32]:
        return lines[start : start + every * (count - 1) + 1 : every]

    middle = len(_SMOOTH) // 2
    blurred: npt.NDArray[np.float32] = read(middle) * _SMOOTH[middle]
    for away in range(1, middle + 1):  # the kernel is symmetric
        pair = read(middle - away) + read(middle + away)
        pair *= _SMOOTH[middle + away]
        blurred += pair
    return blurred


def _variance(values: _Light) -> float:
    line = values.reshape(-1)
    return float(np.dot(line, line)) / line.size - float(line.mean()) ** 2
