"""How a difference becomes a loss, and what a timestep's loss weighs. B rows; times t (B,) in [0, 1]; all float32.

Each kind of loss and each weight is an entry; a weight's value is the recipe's key of its name in `[recipe.loss]`.
The formulas are the papers'; where sd-scripts differs from its paper, ours is theirs, since recipes are exchanged.
SNR is that of the base's own parametrisation, before any zero-terminal-SNR rescaling, as sd-scripts computes it.
Importable without torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lorasmith.diffusion.timesteps import TIMESTEPS, whole_timesteps
from lorasmith.diffusion.transfer import send
from lorasmith.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from lorasmith.diffusion.parametrisation import Parametrisation, Predicted

HuberSchedule = Literal["constant", "exponential", "snr"]
_LARGEST_SNR = 1000.0
"""sd-scripts' bound where a ratio would be infinite at the first timestep."""
_SMALLEST_SNR = 1e-8
"""The same at a last timestep of pure noise, where epsilon weights are 0 / 0."""


@dataclass(frozen=True)
class Loss:
    """A kind of loss: `measure` gives the loss of every element of a difference (B, ...).

    With `rounded` it is told Huber's c, (B, 1, ...), below which a difference counts squared; else nought.
    """

    name: str
    measure: Callable[[Tensor, Tensor], Tensor]
    rounded: bool = False


def _smooth_l1(difference: Tensor, c: Tensor) -> Tensor:
    """2 (sqrt(d^2 + c^2) - c), sd-scripts' smooth form."""
    return 2 * ((difference.square() + c.square()).sqrt() - c)


LOSSES = Registry(
    "a loss",
    entries=(
        Loss("l2", lambda difference, _: difference.square()),
        Loss("l1", lambda difference, _: difference.abs()),
        Loss("huber", lambda difference, c: c * _smooth_l1(difference, c), rounded=True),
        Loss("smooth_l1", _smooth_l1, rounded=True),
    ),
)


@dataclass(frozen=True)
class ErrorMeasure:
    """How a difference becomes a loss, element by element.

    Huber's c follows `huber_schedule` over the timesteps: constant c * scale; exponential scale * c ** (t / T); snr
    (1 - c) / (1 + sigma)^2 + c with the noise level sigma.
    """

    kind: str = "l2"
    huber_c: float = 0.1
    huber_scale: float = 1.0
    huber_schedule: HuberSchedule = "snr"

    def __call__(self, difference: Tensor, parametrisation: Parametrisation, t: Tensor) -> Tensor:
        """The loss of every element of `difference` (B, ...), same shape."""
        loss = LOSSES[self.kind]
        if not loss.rounded:
            return loss.measure(difference, difference.new_zeros(()))
        c = send(self.threshold(parametrisation, t), difference.device).view(-1, *(1,) * (difference.dim() - 1))
        return loss.measure(difference, c)

    def threshold(self, parametrisation: Parametrisation, t: Tensor) -> Tensor:
        """Huber's c at the times (B,): small differences count squared, large ones by their size."""
        c = self.huber_c
        if self.huber_schedule == "constant":
            return t.new_full(t.shape, c * self.huber_scale)
        if self.huber_schedule == "exponential":
            rate = -math.log(c) / TIMESTEPS
            return (-rate * whole_timesteps(t)).exp() * self.huber_scale
        return (1 - c) / (1 + parametrisation.sigma(t)) ** 2 + c


@dataclass(frozen=True)
class Moments:
    """What weights are made of: the signal-to-noise ratio (B,) of the rows, and what their base predicts."""

    snr: Tensor
    predicts_v: bool

    @property
    def bounded(self) -> Tensor:
        return self.snr.clamp(max=_LARGEST_SNR)

    @property
    def scale(self) -> Tensor:
        """The loss of v over that of the noise."""
        return self.bounded / (self.bounded + 1)


@dataclass(frozen=True)
class TimestepWeight:
    """A weight by timestep: `apply(weights, moments, value)` gives the weights (B,) with this one multiplied in.

    `bases` are the predictions that it is for; `flow` says why it means nothing for a flow.
    """

    name: str
    apply: Callable[[Tensor, Moments, float], Tensor]
    flow: str
    bases: tuple[Predicted, ...] = ("epsilon", "v_prediction")


def _min_snr(weights: Tensor, at: Moments, gamma: float) -> Tensor:
    """Hang et al. 2023."""
    return weights * (at.snr.clamp(max=gamma) / (at.snr + 1 if at.predicts_v else at.snr))


def _scale_v(weights: Tensor, at: Moments, _: float) -> Tensor:
    """v losses as large as the noise's, SNR / (SNR + 1)."""
    return weights * at.scale


def _v_like(weights: Tensor, at: Moments, share: float) -> Tensor:
    """So many v-like losses more, 1 + share / scale."""
    return weights * (1 + share / at.scale)


def _debiased(weights: Tensor, at: Moments, _: float) -> Tensor:
    """Yu et al. 2023, 1 / sqrt(SNR), for v 1 / (SNR + 1)."""
    return weights / (at.bounded + 1 if at.predicts_v else at.bounded.sqrt())


def _p2(weights: Tensor, at: Moments, gamma: float) -> Tensor:
    """Choi et al. 2022, eq. 8 with k = 1, 1 / (1 + SNR) ** gamma."""
    return weights / (1 + at.snr) ** gamma


_EVEN = "it evens out the noise's losses over a table's timesteps, and the flow's are even"
_OTHER = "there is no v to weigh"
#: In the order in which they are multiplied.
WEIGHTS = Registry(
    "a timestep weight",
    entries=(
        TimestepWeight("min_snr_gamma", _min_snr, _EVEN),
        TimestepWeight("scale_v", _scale_v, _OTHER, ("v_prediction",)),
        TimestepWeight("v_like", _v_like, _OTHER, ("epsilon",)),
        TimestepWeight("debiased", _debiased, _EVEN),
        TimestepWeight("p2_gamma", _p2, _EVEN),
    ),
)


@dataclass(frozen=True)
class TimestepWeights:
    """The weights of a run by their names, with their values; 0 or False is off."""

    values: Mapping[str, float] = field(default_factory=dict)

    def at(self, parametrisation: Parametrisation, t: Tensor) -> Tensor | None:
        """The weights (B,); None when all are 1."""
        chosen = [(weight, self.values[name]) for name, weight in WEIGHTS.items() if self.values.get(name)]
        if not chosen:
            return None
        snr = parametrisation.snr(t).clamp(min=_SMALLEST_SNR)
        moments = Moments(snr, parametrisation.prediction == "v_prediction")
        weights = snr.new_ones(snr.shape)
        for weight, value in chosen:
            weights = weight.apply(weights, moments, value)
        return weights
