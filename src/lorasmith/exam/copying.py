"""Does the adapter draw its training images again? The nearest one by pixels, against chance.

A picture is a copy when it is nearer to a training image than training images (but the nearest few) are to each
other. The same share counted among the training images themselves is the chance: they did not copy one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lorasmith.exam.figures import Figure, excess

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pictures are compared at this size, where position and colours are left and texture is gone.
SIDE = 32
#: The nearest share of training images sets the distance that counts as a copy.
NEAREST_SHARE = 0.05


@dataclass(frozen=True)
class Copying:
    """The figure, the distance that counts (0..1, root mean square), and per picture its nearest training image."""

    figure: Figure
    distance: float
    nearest: tuple[int, ...]
    distances: tuple[float, ...]


def thumbnail(image: Image) -> NDArray[np.float32]:
    """An RGB image as a flat vector of SIDE x SIDE x 3 values in 0..1."""
    import PIL.Image

    small = image.convert("RGB").resize((SIDE, SIDE), PIL.Image.Resampling.BOX)
    flat: NDArray[np.float32] = np.asarray(small, dtype=np.float32).reshape(-1) / np.float32(255)
    return flat


def find_copies(pictures: Sequence[NDArray[np.float32]], training: Sequence[NDArray[np.float32]]) -> Copying:
    """Compare thumbnails of pictures with those of the training images; fewer than 3 of these tell nothing."""
    nobody = Figure(0.0, 0.0, 1.0, 0)
    if len(training) < 3 or not pictures:
        return Copying(nobody, 0.0, (), ())
    library = np.stack(training)
    own = _distances(library, library)
    np.fill_diagonal(own, np.inf)
    # Clones in the training set (repeats, duplicates) would make every distance but zero too large to be a copy.
    own[own < 1e-4] = np.inf
    neighbour = own.min(axis=1)
    limit = (
        float(np.quantile(neighbour[np.isfinite(neighbour)], NEAREST_SHARE)) if np.isfinite(neighbour).any() else 0.0
    )
    found = _distances(np.stack(pictures), library)
    nearest = found.argmin(axis=1)
    distance = found.min(axis=1)
    figure = excess([bool(d < limit) for d in distance], [bool(d < limit) for d in neighbour])
    return Copying(figure, limit, tuple(int(i) for i in nearest), tuple(float(d) for d in distance))


def _distances(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean square distances (n, m), in float64 because small differences of large sums matter."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
    result: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0) / a.shape[1])
    return result
