"""What a base was taught: how noise is mixed in at a time t, and what its denoiser says of the mixture.

x_0 is a clean latent, n unit noise, x_t their mixture, all (B, ...); t (B,) floating point in [0, 1], 0 is clean.
Samplers speak of x = x_0 + sigma n instead (Karras et al. 2022); `spread(sigma)` is what x is divided by to be x_t.
`Discrete`: the table of a DDPM (Ho et al. 2020), `Flow`: straight lines (Liu et al. 2022). All arithmetic is float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor

from lorasmith.diffusion.levels import flow_time
from lorasmith.diffusion.sigmas import ALIGNED, FlowTable, SigmaTable
from lorasmith.diffusion.timesteps import TIMESTEPS, SizeShift, StepShift, TimestepSampling, shift_at
from lorasmith.errors import BaseError

Prediction = Literal["epsilon", "v_prediction"]
"""What a denoiser over a table says: the noise, or the velocity of Salimans & Ho 2022."""
Predicted = Literal["epsilon", "v_prediction", "flow"]
# A terminal alpha-bar of exactly 0 has no finite sigma; diffusers puts the same number in its place.
_LEAST_ALPHA = 2.0**-24


class Parametrisation(Protocol):
    """What the rest of the house asks of a base's parametrisation; x and sigma in a sampler's terms."""

    @property
    def prediction(self) -> Predicted:
        """What the denoiser says, by its name."""

    def noised(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The mixture x_t."""

    def target(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the denoiser should say of it."""

    def clean(self, x_t: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """The x_0 that the denoiser's `output` implies."""

    def clean_at(self, x: Tensor, output: Tensor, sigma: float) -> Tensor:
        """The same of a sampler's x at `sigma`."""

    def snr(self, t: Tensor) -> Tensor:
        """Signal-to-noise ratio (B,)."""

    def sigma(self, t: Tensor) -> Tensor:
        """Noise level (B,) of a sampler's x; infinite for pure noise."""

    def time(self, sigma: float) -> float:
        """The t of a noise level."""

    def spread(self, sigma: float) -> float:
        """What a sampler's x is divided by to be x_t."""

    def input_scale(self, sigma: float) -> float:
        """What a sampler's x is multiplied by to be x_t."""

    def model_time(self, t: Tensor) -> Tensor:
        """What the denoiser is told of t, float32."""

    def sample_t(self, sampling: TimestepSampling, generator: torch.Generator, size: tuple[int, int]) -> float:
        """A moment to train at, for a picture of (width, height) pixels."""

    def sigma_table(self, size: tuple[int, int], steps: int = 50) -> SigmaTable:
        """The noise levels of a picture of (width, height) pixels that is drawn in so many steps."""

    def to_zero_terminal(self) -> Parametrisation:
        """The same, ending in pure noise."""


@dataclass(frozen=True, eq=False)
class Discrete:
    """A denoiser over a table: `alphas_cumprod` (T,) float32, decreasing; x_t is at row round(t T) of it.

    x_t = sqrt(alpha-bar) x_0 + sqrt(1 - alpha-bar) n (DDPM eq. 4). What the denoiser says is the noise ("epsilon") or
    v = sqrt(alpha-bar) n - sqrt(1 - alpha-bar) x_0 ("v_prediction", Salimans & Ho 2022). `aligned` are the sigmas of
    the schedule Align Your Steps.
    """

    alphas_cumprod: Tensor
    prediction: Prediction
    aligned: tuple[float, ...] = ALIGNED

    @property
    def steps(self) -> int:
        """T: how many timesteps there are."""
        return len(self.alphas_cumprod)

    def noised(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        signal, spread = self._coefficients(t, x_0)
        return signal * x_0 + spread * noise

    def target(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        if self.prediction == "epsilon":
            return noise
        signal, spread = self._coefficients(t, x_0)
        return signal * noise - spread * x_0

    def clean(self, x_t: Tensor, output: Tensor, t: Tensor) -> Tensor:
        signal, spread = self._coefficients(t, x_t)
        if self.prediction == "epsilon":
            return (x_t - spread * output) / signal
        return signal * x_t - spread * output

    def clean_at(self, x: Tensor, output: Tensor, sigma: float) -> Tensor:
        if self.prediction == "epsilon":
            return x - sigma * output
        spread = sigma**2 + 1
        return x / spread - output * (sigma / math.sqrt(spread))

    def snr(self, t: Tensor) -> Tensor:
        alpha = self._alpha(t)
        return alpha / (1 - alpha)

    def sigma(self, t: Tensor) -> Tensor:
        alpha = self._alpha(t)
        return ((1 - alpha) / alpha).sqrt()

    def time(self, sigma: float) -> float:
        """The t of a noise level, between two rows of the table on a straight line of the logarithm."""
        log, table = math.log(max(sigma, 1e-10)), self._log_sigmas
        high = int(torch.searchsorted(table, log).clamp(1, self.steps - 1))
        before, after = float(table[high - 1]), float(table[high])
        row = high - 1 + min(1.0, max(0.0, (log - before) / (after - before)))
        return (float(round(row)) if abs(row - round(row)) < 1e-5 else row) / self.steps

    def spread(self, sigma: float) -> float:
        return math.sqrt(sigma**2 + 1)

    def input_scale(self, sigma: float) -> float:
        return 1 / self.spread(sigma)

    def model_time(self, t: Tensor) -> Tensor:
        """t T, whole where it is so within the rounding of t."""
        rows = t.double() * self.steps
        near = rows.round()
        slack = 2 * self.steps * torch.finfo(t.dtype).eps
        return torch.where((rows - near).abs() < slack, near, rows).float()

    def to_zero_terminal(self) -> Discrete:
        """Rescaled to end in pure noise (Lin et al. 2024, algorithm 1); one that does already is unchanged."""
        return replace(self, alphas_cumprod=_end_in_pure_noise(self.alphas_cumprod))

    def sample_t(self, sampling: TimestepSampling, generator: torch.Generator, size: tuple[int, int]) -> float:
        return sampling.draw_whole(generator, size) / TIMESTEPS

    def sigma_table(self, size: tuple[int, int], steps: int = 50) -> SigmaTable:  # noqa: ARG002 - always the same
        return self._table

    @cached_property
    def _sigmas(self) -> Tensor:
        """(T,) float64, finite."""
        alphas = self.alphas_cumprod.double().cpu().clamp(min=_LEAST_ALPHA)
        return ((1 - alphas) / alphas).sqrt()

    @cached_property
    def _log_sigmas(self) -> Tensor:
        return self._sigmas.log()

    @cached_property
    def _table(self) -> SigmaTable:
        return SigmaTable(tuple(self._sigmas.tolist()), tuple(self._log_sigmas.tolist()), self.aligned)

    def _alpha(self, t: Tensor) -> Tensor:
        return self.alphas_cumprod[(t * self.steps).round().long().clamp(max=self.steps - 1)]

    def _coefficients(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        alpha = _rows(self._alpha(t), like)
        return alpha.sqrt(), (1 - alpha).sqrt()


@dataclass(frozen=True)
class Flow:
    """Rectified flow: x_t = (1 - t) x_0 + t n, and the denoiser says n - x_0 (Liu et al. 2022, eq. 1).

    `shift` is the sampler's: its times move to t' = s t / (1 + (s - 1) t) (Esser et al. 2024, eq. 23), by one s or by
    one for each size of picture, or for each number of steps, too.
    """

    shift: float | SizeShift | StepShift = 1.0

    @property
    def prediction(self) -> Literal["flow"]:
        return "flow"

    def noised(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        t = _rows(t, x_0)
        return (1 - t) * x_0 + t * noise

    def target(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:  # noqa: ARG002 - the same at every t
        return noise - x_0

    def clean(self, x_t: Tensor, output: Tensor, t: Tensor) -> Tensor:
        return x_t - _rows(t, x_t) * output

    def clean_at(self, x: Tensor, output: Tensor, sigma: float) -> Tensor:
        return x / self.spread(sigma) - self.time(sigma) * output

    def snr(self, t: Tensor) -> Tensor:
        return ((1 - t) / t).square()

    def sigma(self, t: Tensor) -> Tensor:
        return t / (1 - t)

    def time(self, sigma: float) -> float:
        return flow_time(sigma)

    def spread(self, sigma: float) -> float:
        return 1 + sigma

    def input_scale(self, sigma: float) -> float:
        return 1 / self.spread(sigma)

    def model_time(self, t: Tensor) -> Tensor:
        return t.float()

    def sample_t(self, sampling: TimestepSampling, generator: torch.Generator, size: tuple[int, int]) -> float:
        return sampling.draw(generator, size)

    def sigma_table(self, size: tuple[int, int], steps: int = 50) -> SigmaTable:
        return FlowTable.shifted(shift_at(self.shift, size, steps))

    def to_zero_terminal(self) -> Flow:
        """A flow ends in pure noise as it is."""
        return self


def parametrisation_from_config(config: Mapping[str, Any]) -> Discrete:
    """The parametrisation of a diffusers `scheduler_config.json`. Raises BaseError on forms we do not know.

    Zero-terminal-SNR rescaling (Lin et al. 2024, algorithm 1) is done when the config asks for it.
    """
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in get_args(Prediction):
        raise BaseError(f"prediction_type = {prediction!r} is not supported.", hint="Known: epsilon, v_prediction.")
    steps = int(config.get("num_train_timesteps", 1000))
    start, end = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    kind = config.get("beta_schedule", "linear")
    if config.get("trained_betas") is not None:
        betas = torch.tensor(config["trained_betas"], dtype=torch.float32)
    elif kind == "linear":
        betas = torch.linspace(start, end, steps, dtype=torch.float32)
    elif kind == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float32) ** 2
    else:
        raise BaseError(f"beta_schedule = {kind!r} is not supported.", hint="Known: linear, scaled_linear.")
    alphas_cumprod = torch.cumprod(1 - betas, dim=0)
    if config.get("rescale_betas_zero_snr"):
        alphas_cumprod = _end_in_pure_noise(alphas_cumprod)
    return Discrete(alphas_cumprod, prediction)


def _end_in_pure_noise(alphas_cumprod: Tensor) -> Tensor:
    """Shift sqrt(alpha-bar) so that the last is 0 and rescale so that the first stays."""
    signal = alphas_cumprod.sqrt()
    first, last = signal[0].clone(), signal[-1].clone()
    return ((signal - last) * first / (first - last)) ** 2


def _rows(values: Tensor, like: Tensor) -> Tensor:
    """(B,) as (B, 1, ...) beside `like` (B, ...)."""
    return values.view(-1, *([1] * (like.dim() - 1)))
