"""Which timestep a row is trained at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

Sampling = Literal["uniform", "logit_normal"]


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
