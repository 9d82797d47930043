"""Four styles that the base never saw: what is done to a drawing's pixels, alike whatever is drawn.

Patterns are as wide as a share of the figure's frame, so that they are alike in pictures of any size; `unit` is the
number of pixels that the frame's width takes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

PALETTE = np.array([(15, 30, 20), (48, 98, 48), (139, 172, 15), (214, 226, 120)], np.float32)


def _grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"), np.float32)


def hatch(image: Image.Image, unit: float) -> Image.Image:
    """Ink on cream paper: slanting lines that are the thicker the darker it is, and outlines."""
    grey = _grey(image)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]].astype(np.float32)
    wave = ((x + y) / (unit / 16)) % 1.0
    ink = wave < (1 - grey / 255) * 0.8
    edges = np.asarray(image.convert("L").filter(ImageFilter.FIND_EDGES), np.float32) > 60
    paper = np.full((*grey.shape, 3), (250, 238, 210), np.float32)
    paper[ink | edges] = (70, 30, 90)
    return Image.fromarray(paper.astype(np.uint8))


def handheld(image: Image.Image, unit: float) -> Image.Image:
    """Four greens, as an old handheld shows them, in coarse squares."""
    side = max(1, round(unit / 48))
    small = image.resize((max(1, image.width // side), max(1, image.height // side)), Image.Resampling.BOX)
    level = np.clip(_grey(small) / 64, 0, 3).astype(int)
    return Image.fromarray(PALETTE[level].astype(np.uint8)).resize(image.size, Image.Resampling.NEAREST)


def mosaic(image: Image.Image, unit: float) -> Image.Image:
    """Tiles of one colour each, with dark joints."""
    tile = max(3, round(unit / 16))
    small = image.resize((-(-image.width // tile), -(-image.height // tile)), Image.Resampling.BOX)
    out = np.asarray(small).repeat(tile, 0).repeat(tile, 1)[: image.height, : image.width].copy()
    joint = max(1, round(tile / 7))
    y, x = np.mgrid[: out.shape[0], : out.shape[1]]
    out[(x % tile < joint) | (y % tile < joint)] = (25, 22, 30)
    return Image.fromarray(out)


def neon(image: Image.Image, unit: float) -> Image.Image:
    """Glowing outlines on night blue: only where colours change is there light."""
    soft = image.filter(ImageFilter.GaussianBlur(unit / 250))
    pixels = np.asarray(soft, np.float32)
    step = max(1, round(unit / 64))
    change = np.abs(pixels - np.roll(pixels, step, 0)) + np.abs(pixels - np.roll(pixels, step, 1))
    light = np.clip(change.max(2) / 90, 0, 1)[..., None]
    night, glow = np.array((12, 14, 52), np.float32), np.array((90, 255, 230), np.float32)
    return Image.fromarray((night * (1 - light) + glow * light).astype(np.uint8))


STYLES: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "hatch": hatch,
    "handheld": handheld,
    "mosaic": mosaic,
    "neon": neon,
}
