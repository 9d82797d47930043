"""Is it a whole picture? Measures of a picture against the range of the base's own, and of the training images.

A burnt picture (too strong an adapter, trained too long) has colours at both of their ends, edges that no picture of
the base has, and features that no mixture of known pictures explains; a torn one (not trained enough, or far too much)
has the base's colours and edges, but its parts lie where they do not belong. One fault is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lorasmith.exam.likeness.twins import Torn, find_torn

if TYPE_CHECKING:
    from PIL.Image import Image

#: What is measured, in the order of the columns.
MEASURES = ("sharpness", "contrast", "colour", "clipping", "grain")
STRANGE, TORN = "likeness", "torn"
#: Fewer pictures make no range.
LEAST = 8
#: A range is the middle 96 % of what is known to be whole, and so much of its width beyond on both sides ...
MARGIN = 0.3
#: ... and at least so much, measure by measure.
FLOOR = np.asarray([0.3, 5.0, 12.0, 0.02, 0.3], np.float32)
#: Values of a channel that count as its ends, of 255.
ENDS = (3, 252)
#: Directions in which known pictures differ, and parts into which they are cut for judging each other.
DIRECTIONS, PARTS = 10, 5
#: Deviations above the mean of what known pictures leave unexplained of each other.
FARTHER = 3.0

Measured = NDArray[np.float32]
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class _Explained:
    """Known pictures' vectors, as mean, scale and main directions (PCA); `farthest`: what may be left unexplained."""

    mean: Rows
    scale: Rows
    directions: Rows
    farthest: float = np.inf

    def left(self, vectors: NDArray[np.float32]) -> Rows:
        """Root mean square of what the directions do not explain, a row."""
        rows = (vectors.astype(np.float64) - self.mean) / self.scale
        rest: Rows = np.sqrt(((rows - rows @ self.directions.T @ self.directions) ** 2).mean(1))
        return rest


@dataclass(frozen=True)
class Range:
    """From where to where whole pictures lie."""

    low: Measured
    high: Measured
    explained: _Explained | None
    torn: Torn | None = None

    def faults(self, measured: Measured, vector: NDArray[np.float32] | None) -> tuple[str, ...]:
        """What of a picture lies outside, by name; nothing for a whole picture."""
        out = (measured < self.low) | (measured > self.high)
        names = [name for name, wrong in zip(MEASURES, out, strict=True) if wrong]
        known = self.explained
        if known is not None and vector is not None and float(known.left(vector[None])[0]) > known.farthest:
            names.append(STRANGE)
        if self.torn is not None and vector is not None and self.torn.tells(vector):
            names.append(TORN)
        return tuple(names)


def measure(image: Image) -> Measured:
    """Of a small RGB picture: log of the variance of the Laplacian; deviation of the light; saturation that 5 % of the
    pixels exceed; share of pixels with one channel at 0 and another at 255; log of the median gradient of the light,
    which is what its plain parts are like (0..255, share 0..1)."""
    pixels = np.asarray(image.convert("RGB"), np.float32)
    light = pixels @ np.asarray([0.299, 0.587, 0.114], np.float32)
    edges = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:] - 4 * light[1:-1, 1:-1]
    saturation = pixels.max(2) - pixels.min(2)
    clipped = (pixels.min(2) <= ENDS[0]) & (pixels.max(2) >= ENDS[1])
    slope = np.hypot(light[1:-1, 2:] - light[1:-1, :-2], light[2:, 1:-1] - light[:-2, 1:-1])
    grain = np.log1p(np.median(slope))
    values = [np.log1p(edges.var()), light.std(), np.quantile(saturation, 0.95), clipped.mean(), grain]
    return np.asarray(values, np.float32)


def find_range(
    measures: Sequence[Measured], vectors: NDArray[np.float32] | None, twins: NDArray[np.float32] | None = None
) -> Range:
    """The range of pictures that are known to be whole; with too few of them everything is in it. `twins`: vectors of
    the same pictures, spoilt (`lorasmith.exam.likeness.twins`)."""
    if len(measures) < LEAST:
        endless = np.full(len(MEASURES), np.inf, np.float32)
        return Range(-endless, endless, None)
    low, high = np.quantile(np.stack(measures), [0.02, 0.98], axis=0)
    beyond = np.maximum(MARGIN * (high - low), FLOOR)
    known = None if vectors is None or not vectors.size else _explain(vectors)
    torn = None if known is None or vectors is None or twins is None else find_torn(vectors, twins)
    return Range((low - beyond).astype(np.float32), (high + beyond).astype(np.float32), known, torn)


def _explain(vectors: NDArray[np.float32]) -> _Explained:
    """Main directions of all; the limit is what each fifth leaves unexplained when the others explain it."""
    left = []
    for part in range(PARTS):
        others = np.arange(len(vectors)) % PARTS != part
        left.append(_directions(vectors[others]).left(vectors[~others]))
    rest = np.concatenate(left)
    found = _directions(vectors)
    return _Explained(found.mean, found.scale, found.directions, float(rest.mean() + FARTHER * rest.std()))


def _directions(vectors: NDArray[np.float32]) -> _Explained:
    rows = vectors.astype(np.float64)
    mean, spread = rows.mean(0), rows.std(0)
    scale = spread + 1e-3 * float(spread.mean()) + 1e-12
    _, _, directions = np.linalg.svd((rows - mean) / scale, full_matrices=False)
    return _Explained(mean, scale, directions[: min(DIRECTIONS, len(rows) // 4)])
