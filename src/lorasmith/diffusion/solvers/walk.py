"""What a sampler asks and is given on its way down the sigmas."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Noisy:
    """Latents `x` (1, C, ...) at the noise level `sigma`, in `step`, counted from 0: what is clean in them?"""

    x: Tensor
    sigma: float
    step: int


@dataclass(frozen=True)
class Run:
    """What a sampler walks down: its sigmas, the last may be 0; `draw` gives new unit noise in the shape of x.

    `eta` is the strength of fresh noise. `flow`: x / (1 + sigma) goes straight where x_0 stays (rectified flow).
    """

    sigmas: Sequence[float]
    draw: Callable[[], Tensor]
    eta: float = 0.0
    flow: bool = False


Walk = Generator[Noisy, "Tensor", "Tensor"]


def split_noise(sigma: float, after: float, eta: float) -> tuple[float, float]:
    """The level to fall to, and the noise to add to be at `after`."""
    up = min(after, eta * math.sqrt(max(0.0, after**2 * (sigma**2 - after**2) / sigma**2)))
    return math.sqrt(max(0.0, after**2 - up**2)), up
