"""Several pictures in one (D8): side by side, stacked, in a grid, or one set into another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from PIL import Image, ImageOps

Layout = Literal["side", "stack", "grid", "inset"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
LONGEST = 2048
"""Pixels of the longer side of a collage at most."""

_INSET_SHARE, _INSET_MARGIN = 0.36, 0.03


def make_collage(images: Sequence[Image.Image], layout: Layout) -> Image.Image:
    """Put two or more RGB pictures together. Nothing is enlarged, nothing but a grid's cells cuts anything away, and
    there is no frame between them.

    side: in a row, all as high as the lowest. stack: one above the other, all as wide as the narrowest. grid: cells of
    one size in rows, each filled from the middle of its picture; empty cells are white. inset: the second in the lower
    right corner of the first, a third in the lower left one. Raises ValueError for a number that does not fit.
    """
    least, most = LIMITS[layout]
    if not least <= len(images) <= most:
        raise ValueError(f"{layout} takes {least} to {most} pictures, not {len(images)}")
    collage = _MAKERS[layout](images)
    if max(collage.size) > LONGEST:
        collage.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    return collage


LIMITS: Mapping[Layout, tuple[int, int]] = {"side": (2, 6), "stack": (2, 6), "grid": (3, 16), "inset": (2, 3)}
"""How many pictures a layout takes, from and to."""


def _side(images: Sequence[Image.Image]) -> Image.Image:
    height = min(image.height for image in images)
    sized = [_scaled(image, height / image.height) for image in images]
    canvas = Image.new("RGB", (sum(image.width for image in sized), height), "white")
    left = 0
    for image in sized:
        canvas.paste(image, (left, 0))
        left += image.width
    return canvas


def _stack(images: Sequence[Image.Image]) -> Image.Image:
    turned = [image.transpose(Image.Transpose.TRANSPOSE) for image in images]
    return _side(turned).transpose(Image.Transpose.TRANSPOSE)


def _grid(images: Sequence[Image.Image]) -> Image.Image:
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    cell = min(image.width for image in images), min(image.height for image in images)
    canvas = Image.new("RGB", (columns * cell[0], rows * cell[1]), "white")
    for number, image in enumerate(images):
        fitted = ImageOps.fit(image, cell, Image.Resampling.BOX, centering=(0.5, 0.4))
        canvas.paste(fitted, (number % columns * cell[0], number // columns * cell[1]))
    return canvas


def _inset(images: Sequence[Image.Image]) -> Image.Image:
    canvas = images[0].copy()
    margin = round(_INSET_MARGIN * min(canvas.size))
    for number, image in enumerate(images[1:]):
        bounds = canvas.width * _INSET_SHARE / image.width, canvas.height * _INSET_SHARE / image.height
        small = _scaled(image, min(1.0, *bounds))
        left = canvas.width - small.width - margin if number == 0 else margin
        canvas.paste(small, (left, canvas.height - small.height - margin))
    return canvas


_MAKERS: Mapping[Layout, Callable[[Sequence[Image.Image]], Image.Image]] = {
    "side": _side,
    "stack": _stack,
    "grid": _grid,
    "inset": _inset,
}


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image if size == image.size else image.resize(size, Image.Resampling.BOX)
