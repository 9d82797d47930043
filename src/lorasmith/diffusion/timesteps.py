"""Which timestep a row is trained at, in whole numbers as kohya counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Sampling = Literal["uniform", "logit_normal"]
TIMESTEPS = 1000
"""kohya's timesteps: t = 1 is the thousandth."""


def whole_timesteps(t: Tensor) -> Tensor:
    """Times t (B,) in [0, 1] as kohya's timesteps, long."""
    return (t * TIMESTEPS).round().long()


@dataclass(frozen=True)
class TimestepRange:
    """Whole timesteps in [low, high), as sd-scripts counts its bounds.

    uniform: each alike. logit_normal (Esser et al. 2024, eq. 19): low + floor(sigmoid(mean + std * n) * (high - low))
    with n standard normal; mean 0 and std 1 prefer the middle, a mean above 0 the noisy end.
    """

    low: int = 0
    high: int = 1000
    sampling: Sampling = "uniform"
    mean: float = 0.0
    std: float = 1.0

    def draw(self, generator: torch.Generator) -> int:
        if self.sampling == "uniform":
            return int(torch.randint(self.low, self.high, (), generator=generator))
        normal = torch.randn((), generator=generator)
        share = float(torch.sigmoid(self.mean + self.std * normal))
        return min(self.low + int(share * (self.high - self.low)), self.high - 1)
