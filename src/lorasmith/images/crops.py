"""Parts of a picture: the one that is meant, and proposals what to cut out of it.

Boxes are (left, top, right, bottom) in pixels of the upright picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from lorasmith.images.opening import open_rgb

Box = tuple[int, int, int, int]
Pattern = Literal["figure", "object", "place"]
LEAST_SIDE = 32
"""A part with a shorter side shows nothing."""

_DETAIL_SIDE, _FINE_SIDE = 64, 256
_GRAIN = 4
"""Steps between neighbours, beside their median, that are grain and no drawing."""
_EDGE_SHARE = 0.02
_MARGIN = 0.04
_NEARLY_WHOLE = 0.9


@dataclass(frozen=True)
class Part:
    """A named part of a picture."""

    name: str
    box: Box


def open_part(path: Path | str, crop: Box | None) -> Image.Image:
    """The part `crop` of a picture, or the whole, as RGB and upright. Raises ImageError; ValueError for a box that
    is not inside."""
    image = open_rgb(path)
    return image if crop is None else cut(image, crop)


def cut(image: Image.Image, box: Box) -> Image.Image:
    """The pixels of `box`. Raises ValueError when it is empty or not inside the picture."""
    left, top, right, bottom = box
    if not (0 <= left < right <= image.width and 0 <= top < bottom <= image.height):
        raise ValueError(f"{box} is not inside {image.width}x{image.height} pixels")
    return image.crop(box)


def detail_map(image: Image.Image) -> npt.NDArray[np.float64]:
    """Where a picture has detail: the steepness of its grey values at up to 64 x 64 places, of sum 1 (0 when plain).

    It tells a drawn thing from a plain background, and nothing about what the thing is.
    """
    small = image.convert("L").resize((_DETAIL_SIDE, _DETAIL_SIDE), Image.Resampling.BOX)
    grey_HW = np.asarray(small, dtype=np.float64)
    steep_HW = np.hypot(np.gradient(grey_HW, axis=0), np.gradient(grey_HW, axis=1))
    total = float(steep_HW.sum())
    return steep_HW / total if total > 0 else steep_HW


def find_focus(image: Image.Image) -> Box:
    """The box that holds the picture's detail but for 2 % at each edge, with a little margin; the whole of a plain
    picture."""
    detail_HW = detail_map(image)
    if not detail_HW.any():
        return 0, 0, image.width, image.height
    left, right = _span(detail_HW.sum(axis=0), image.width)
    top, bottom = _span(detail_HW.sum(axis=1), image.height)
    return left, top, right, bottom


def find_squares(image: Image.Image, zooms: Sequence[float]) -> tuple[Box, ...]:
    """For each of `zooms` a square around what is drawn, its side so many times that of the drawing; where that is more
    than the picture's shorter side, the square of that side with most detail. None for a plain picture."""
    width, height = image.size
    longest = max(width, height)
    size = (max(2, width * _FINE_SIDE // longest), max(2, height * _FINE_SIDE // longest))
    grey_HW = np.asarray(image.resize(size, Image.Resampling.BOX).convert("L"), dtype=np.float64)
    steep_HW = np.abs(np.diff(grey_HW, axis=0))[:, :-1] + np.abs(np.diff(grey_HW, axis=1))[:-1]
    steep_HW = np.clip(steep_HW - _GRAIN * (1 + np.median(steep_HW)), 0, None)
    if not steep_HW.any():
        return ()
    across, down = steep_HW.sum(axis=0), steep_HW.sum(axis=1)
    (left, right), (top, bottom) = _span_of(across, width), _span_of(down, height)
    extent, short = max(right - left, bottom - top), min(width, height)
    squares = []
    for zoom in zooms:
        side = min(short, max(1, round(zoom * extent)))
        x, y = (left + right - side) / 2, (top + bottom - side) / 2
        if side == short:
            x, y = (_densest(across, side, width), 0) if width > height else (0, _densest(down, side, height))
        x, y = round(min(max(x, 0), width - side)), round(min(max(y, 0), height - side))
        squares.append((x, y, x + side, y + side))
    return tuple(squares)


def _span_of(detail: npt.NDArray[np.float64], length: int) -> tuple[float, float]:
    """From where to where along `length` pixels the detail lies, but for 1 % at each end."""
    summed = np.cumsum(detail) / detail.sum()
    first, last = np.searchsorted(summed, (0.01, 0.99))
    return float(first) / len(detail) * length, float(last + 1) / len(detail) * length


def _densest(detail: npt.NDArray[np.float64], side: int, length: int) -> float:
    """Where along `length` pixels a window of `side` begins that holds most detail; the middle one of equals."""
    count = min(len(detail), max(1, round(len(detail) * side / length)))
    summed = np.concatenate([[0.0], np.cumsum(detail)])
    held = summed[count:] - summed[:-count]
    (best,) = np.nonzero(held >= 0.999 * held.max())
    return float(best[0] + best[-1]) / 2 / len(detail) * length


def propose_parts(image: Image.Image, pattern: Pattern) -> tuple[Part, ...]:
    """What to cut out of a picture of that kind (D14), from the box that holds its detail.

    "figure": upper third and half, both sides, the whole figure, lower half. "object": halves and thirds lengthwise and
    across. "place": cut like a pizza, in overlapping slices around the middle, and the middle. These are regular cuts:
    where head, eyes or hair are is not known here; a drawn box is better. Parts with a side under 32 pixels are left
    out, and those that are nearly the whole picture.
    """
    focus = find_focus(image)
    parts = (Part(name, _inside(focus, shares)) for name, shares in _PATTERNS[pattern](focus).items())
    most = _NEARLY_WHOLE * image.width * image.height
    return tuple(part for part in parts if _least(part.box) >= LEAST_SIDE and _area(part.box) < most)


Shares = tuple[float, float, float, float]

_FIGURE: Mapping[str, Shares] = {
    "upper third": (0.0, 0.0, 1.0, 0.38),
    "upper half": (0.0, 0.0, 1.0, 0.55),
    "left side": (0.0, 0.0, 0.6, 1.0),
    "right side": (0.4, 0.0, 1.0, 1.0),
    "whole figure": (0.0, 0.0, 1.0, 1.0),
    "lower half": (0.0, 0.45, 1.0, 1.0),
}
_PLACE: Mapping[str, Shares] = {
    "upper left slice": (0.0, 0.0, 0.55, 0.55),
    "upper right slice": (0.45, 0.0, 1.0, 0.55),
    "lower right slice": (0.45, 0.45, 1.0, 1.0),
    "lower left slice": (0.0, 0.45, 0.55, 1.0),
    "left slice": (0.0, 0.2, 0.5, 0.8),
    "right slice": (0.5, 0.2, 1.0, 0.8),
    "middle": (0.2, 0.2, 0.8, 0.8),
}
_ALONG: Mapping[str, tuple[float, float]] = {
    "first half": (0.0, 0.55),
    "second half": (0.45, 1.0),
    "middle third": (0.3, 0.7),
}


def _object(focus: Box) -> Mapping[str, Shares]:
    """Cuts along the longer side first, then across."""
    tall = focus[3] - focus[1] > focus[2] - focus[0]
    upright = {f"{name} from the top": (0.0, start, 1.0, end) for name, (start, end) in _ALONG.items()}
    across = {f"{name} from the left": (start, 0.0, end, 1.0) for name, (start, end) in _ALONG.items()}
    whole = {"whole object": (0.0, 0.0, 1.0, 1.0)}
    return {**whole, **upright, **across} if tall else {**whole, **across, **upright}


_PATTERNS: Mapping[Pattern, Callable[[Box], Mapping[str, Shares]]] = {
    "figure": lambda _: _FIGURE,
    "object": _object,
    "place": lambda _: _PLACE,
}


def _inside(focus: Box, shares: Shares) -> Box:
    left, top, right, bottom = focus
    width, height = right - left, bottom - top
    return (
        left + round(shares[0] * width),
        top + round(shares[1] * height),
        left + round(shares[2] * width),
        top + round(shares[3] * height),
    )


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _least(box: Box) -> int:
    return min(box[2] - box[0], box[3] - box[1])


def _span(detail: npt.NDArray[np.float64], length: int) -> tuple[int, int]:
    """Where the detail along one axis begins and ends, in pixels of a side of `length`."""
    summed = np.cumsum(detail)
    first = int(np.searchsorted(summed, _EDGE_SHARE * summed[-1]))
    last = int(np.searchsorted(summed, (1 - _EDGE_SHARE) * summed[-1])) + 1
    margin = _MARGIN * len(detail)
    start = max(0.0, first - margin) / len(detail)
    end = min(float(len(detail)), last + margin) / len(detail)
    return int(start * length), max(int(start * length) + 1, round(end * length))
