"""Which moment a row is trained at: values that draw it. Importable without torch.

A time t in [0, 1] is the part of noise in a flow's mixture; the tables of discrete bases have a thousand rows, and
timestep k of theirs, as kohya counts, is t = k / 1000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Sampling = Literal["uniform", "logit_normal", "sigmoid"]
TIMESTEPS = 1000
"""kohya's timesteps: t = 1 is the thousandth."""
Size = tuple[int, int]


def whole_timesteps(t: Tensor) -> Tensor:
    """Times t (B,) in [0, 1] as kohya's timesteps, long."""
    return (t * TIMESTEPS).round().long()


def shift_time(t: float, shift: float) -> float:
    """t' = s t / (1 + (s - 1) t): a flow's t at `shift` times the noise level (Esser et al. 2024, eq. 23)."""
    return shift * t / (1 + (shift - 1) * t)


@dataclass(frozen=True)
class SizeShift:
    """A shift exp(mu) that grows with the picture: mu lies on a line over the number of its pixels.

    The defaults are those of FLUX.1, by kohya's name flux_shift: 0.5 at 256 x 256, 1.15 at 1024 x 1024.
    """

    small: float = 0.5
    large: float = 1.15

    def at(self, size: Size) -> float:
        """The shift of a picture of (width, height) pixels."""
        part = (size[0] * size[1] - 256**2) / (1024**2 - 256**2)
        return math.exp(self.small + part * (self.large - self.small))


@dataclass(frozen=True)
class StepShift:
    """FLUX.2's shift exp(mu) when drawing, which falls with the steps: mu lies on two lines over the number of tokens,
    one a 16 x 16 pixels, for 10 and for 200 steps, and between them (diffusers' `compute_empirical_mu`)."""

    def at(self, size: Size, steps: int) -> float:
        """The shift of a picture of (width, height) pixels in so many steps."""
        tokens = (size[0] // 16) * (size[1] // 16)
        few, many = 8.73809524e-05 * tokens + 1.89833333, 0.00016927 * tokens + 0.45666666
        return math.exp(many if tokens > _LARGE else many + (few - many) * (200 - steps) / 190)


_LARGE = 4300
"""Tokens beyond which steps do not count."""


def shift_at(shift: float | SizeShift | StepShift, size: Size, steps: int = 50) -> float:
    """The shift of a picture of (width, height) pixels in so many steps."""
    if isinstance(shift, StepShift):
        return shift.at(size, steps)
    return shift.at(size) if isinstance(shift, SizeShift) else shift


@dataclass(frozen=True)
class TimestepSampling:
    """Draws moments between the timesteps `low` and `high`, as sd-scripts counts its bounds.

    A share of [0, 1) is drawn and shifted, and the moment lies so far between the bounds. uniform: each share alike.
    logit_normal (Esser et al. 2024, eq. 19): sigmoid(mean + std n) with n standard normal; mean 0 and std 1 prefer
    the middle, a mean above 0 the noisy end. sigmoid: kohya's name for it with mean 0; std is its sigmoid_scale.
    `shift`: see `shift_time`; with sigmoid it is kohya's "shift", by size "flux_shift".
    """

    low: int = 0
    high: int = TIMESTEPS
    sampling: Sampling = "uniform"
    mean: float = 0.0
    std: float = 1.0
    shift: float | SizeShift = 1.0

    def draw(self, generator: torch.Generator, size: Size) -> float:
        """A time in [low, high) / 1000, for a picture of (width, height) pixels."""
        return (self.low + self._share(generator, size) * (self.high - self.low)) / TIMESTEPS

    def draw_whole(self, generator: torch.Generator, size: Size) -> int:
        """A whole timestep in [low, high)."""
        if self.sampling == "uniform" and self.shift == 1:
            import torch

            return int(torch.randint(self.low, self.high, (), generator=generator))
        return min(self.low + int(self._share(generator, size) * (self.high - self.low)), self.high - 1)

    def _share(self, generator: torch.Generator, size: Size) -> float:
        import torch

        if self.sampling == "uniform":
            share = float(torch.rand((), generator=generator))
        else:
            mean = 0.0 if self.sampling == "sigmoid" else self.mean
            share = float(torch.sigmoid(mean + self.std * torch.randn((), generator=generator)))
        shift = shift_at(self.shift, size)
        return share if shift == 1 else shift_time(share, shift)
