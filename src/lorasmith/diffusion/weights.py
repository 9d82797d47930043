"""What a timestep's loss weighs, and how a difference becomes a loss. B rows; times t (B,) in [0, 1]; all float32.

The formulas are the papers'; where sd-scripts differs from its paper, ours is theirs, since recipes are exchanged.
SNR is that of the base's own parametrisation, before any zero-terminal-SNR rescaling, as sd-scripts computes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lorasmith.diffusion.parametrisation import Parametrisation
from lorasmith.diffusion.timesteps import TIMESTEPS, whole_timesteps

LossKind = Literal["l2", "l1", "huber", "smooth_l1"]
HuberSchedule = Literal["constant", "exponential", "snr"]
_LARGEST_SNR = 1000.0
"""sd-scripts' bound where a ratio would be infinite at the first timestep."""
_SMALLEST_SNR = 1e-8
"""The same at a last timestep of pure noise, where epsilon weights are 0 / 0."""


@dataclass(frozen=True)
class TimestepWeights:
    """Weights by timestep, multiplied in this order; 0 or False is off.

    `min_snr_gamma`: Hang et al. 2023. `scale_v`: v losses as large as the noise's, SNR / (SNR + 1). `v_like`: adds
    so many v-like losses, 1 + v_like / scale. `debiased`: Yu et al. 2023, 1 / sqrt(SNR), for v 1 / (SNR + 1).
    `p2_gamma`: Choi et al. 2022, eq. 8 with k = 1, 1 / (1 + SNR) ** gamma.
    """

    min_snr_gamma: float = 0.0
    scale_v: bool = False
    v_like: float = 0.0
    debiased: bool = False
    p2_gamma: float = 0.0

    def at(self, parametrisation: Parametrisation, t: Tensor) -> Tensor | None:
        """The weights (B,); None when all are 1."""
        if self == TimestepWeights():
            return None
        snr = parametrisation.snr(t).clamp(min=_SMALLEST_SNR)
        bounded = snr.clamp(max=_LARGEST_SNR)
        predicts_v = parametrisation.prediction == "v_prediction"
        weights = torch.ones_like(snr)
        if self.min_snr_gamma:
            weights = snr.clamp(max=self.min_snr_gamma) / (snr + 1 if predicts_v else snr)
        scale = bounded / (bounded + 1)
        if self.scale_v:
            weights = weights * scale
        if self.v_like:
            weights = weights * (1 + self.v_like / scale)
        if self.debiased:
            weights = weights / (bounded + 1 if predicts_v else bounded.sqrt())
        if self.p2_gamma:
            weights = weights / (1 + snr) ** self.p2_gamma
        return weights


@dataclass(frozen=True)
class ErrorMeasure:
    """How a difference becomes a loss, element by element.

    l2: its square. l1: its size. huber: 2 c (sqrt(d^2 + c^2) - c), smooth_l1: 2 (sqrt(d^2 + c^2) - c), sd-scripts'
    smooth forms of them, whose c follows `huber_schedule` over the timesteps: constant c * scale; exponential
    scale * c ** (t / T); snr (1 - c) / (1 + sigma)^2 + c with the noise level sigma.
    """

    kind: LossKind = "l2"
    huber_c: float = 0.1
    huber_scale: float = 1.0
    huber_schedule: HuberSchedule = "snr"

    def __call__(self, difference: Tensor, parametrisation: Parametrisation, t: Tensor) -> Tensor:
        """The loss of every element of `difference` (B, ...), same shape."""
        if self.kind == "l2":
            return difference.square()
        if self.kind == "l1":
            return difference.abs()
        c = self.threshold(parametrisation, t).to(difference.device).view(-1, *(1,) * (difference.dim() - 1))
        rounded = 2 * ((difference.square() + c.square()).sqrt() - c)
        return c * rounded if self.kind == "huber" else rounded

    def threshold(self, parametrisation: Parametrisation, t: Tensor) -> Tensor:
        """Huber's c at the timesteps (B,): small differences count squared, large ones by their size."""
        c = self.huber_c
        if self.huber_schedule == "constant":
            return torch.full(t.shape, c * self.huber_scale)
        if self.huber_schedule == "exponential":
            rate = -math.log(c) / TIMESTEPS
            return torch.exp(-rate * whole_timesteps(t)) * self.huber_scale
        return (1 - c) / (1 + parametrisation.sigma(t)) ** 2 + c
