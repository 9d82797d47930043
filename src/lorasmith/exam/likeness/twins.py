"""Spoilt twins of known pictures, and the line that tells them from whole ones.

What an adapter does to a picture that it cannot draw (parts out of place, smeared or driven colours) has the base's own
colours and edges, so no measure alone sees it. A ridge line between whole pictures and twins of themselves does: bent,
cut into blocks that changed places, and with their saturation times three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lorasmith.exam.likeness.calibration import SEPARATES, Line, find_auc, fit_line

if TYPE_CHECKING:
    from PIL.Image import Image

#: Fewer known pictures draw no line.
LEAST = 16
#: How far a bent twin's points wander, as a share of the side, and how many times they turn on the way across it.
BEND, TURNS = 0.07, 12
#: A side is cut into so many blocks.
BLOCKS = (4, 8, 16)
VIVID = 3.0
#: Deviations below the mean of whole pictures, each judged by the others.
LOWER = 2.6


@dataclass(frozen=True)
class Torn:
    """The line, and the score below which a picture is torn."""

    line: Line
    least: float

    def tells(self, vector: NDArray[np.float32]) -> bool:
        return float(self.line.scores(vector[None])[0]) < self.least


def find_torn(vectors: NDArray[np.float32], twins: NDArray[np.float32]) -> Torn | None:
    """From vectors of whole pictures and of their twins; None with too few, or where the two cannot be told apart."""
    if len(vectors) < LEAST or len(twins) < LEAST:
        return None
    line, whole, spoilt = fit_line(vectors, twins)
    if find_auc(whole, spoilt).low < SEPARATES:
        return None
    return Torn(line, min(float(whole.mean() - LOWER * whole.std()), float(np.quantile(whole, 0.02))))


def make_twins(pictures: Sequence[Image]) -> list[Image]:
    """Three of each picture; the same again for the same pictures."""
    from PIL import ImageEnhance

    twins: list[Image] = []
    for number, picture in enumerate(pictures):
        random = np.random.default_rng([number, 7])
        whole = picture.convert("RGB")
        twins += [_bent(whole, random), shuffled(whole, int(random.choice(BLOCKS)), random)]
        twins.append(ImageEnhance.Color(whole).enhance(VIVID))
    return twins


def shuffled(picture: Image, blocks: int, random: np.random.Generator) -> Image:
    """Cut into blocks x blocks equal parts that change their places."""
    import PIL.Image

    side = max(1, min(picture.size) // blocks)
    pixels = np.asarray(picture.resize((side * blocks, side * blocks)))
    parts = pixels.reshape(blocks, side, blocks, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    mixed = parts[random.permutation(len(parts))].reshape(blocks, blocks, side, side, 3).swapaxes(1, 2)
    return PIL.Image.fromarray(np.ascontiguousarray(mixed.reshape(pixels.shape))).resize(picture.size)


def _bent(picture: Image, random: np.random.Generator) -> Image:
    """Every point taken from somewhere near it, neighbours from nearly the same place."""
    import PIL.Image

    width, height = picture.size
    wander = []
    for side in (height, width):
        coarse = PIL.Image.fromarray(random.normal(0, BEND * side, (TURNS, TURNS)).astype(np.float32))
        wander.append(np.asarray(coarse.resize((width, height), PIL.Image.Resampling.BICUBIC)))
    rows, columns = np.mgrid[:height, :width]
    down = np.clip(rows + wander[0], 0, height - 1).astype(int)
    across = np.clip(columns + wander[1], 0, width - 1).astype(int)
    return PIL.Image.fromarray(np.asarray(picture)[down, across])
