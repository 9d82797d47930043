"""The noise schedule: how much noise a timestep means, and what the model is asked to predict.

x_0 is the clean latent, x_t the noisy one, t the timestep (B,) long in [0, 1000), alpha-bar the cumulative product
of (1 - beta); names as in Ho et al. 2020 (DDPM) and Salimans & Ho 2022 (v prediction). All arithmetic is float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lorasmith.errors import BaseError

Prediction = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """`alphas_cumprod` (T,) float32, decreasing; `prediction` is what the denoiser outputs."""

    alphas_cumprod: Tensor
    prediction: Prediction

    def add_noise(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t = sqrt(alpha-bar) x_0 + sqrt(1 - alpha-bar) noise (DDPM eq. 4)."""
        signal, spread = self._coefficients(t, x_0)
        return signal * x_0 + spread * noise

    def target(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the denoiser should output: the noise, or v = sqrt(alpha-bar) noise - sqrt(1 - alpha-bar) x_0."""
        if self.prediction == "epsilon":
            return noise
        signal, spread = self._coefficients(t, x_0)
        return signal * noise - spread * x_0

    def clean(self, x_t: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """The x_0 that the denoiser's output implies."""
        signal, spread = self._coefficients(t, x_t)
        if self.prediction == "epsilon":
            return (x_t - spread * output) / signal
        return signal * x_t - spread * output

    def snr(self, t: Tensor) -> Tensor:
        """Signal-to-noise ratio alpha-bar / (1 - alpha-bar), (B,)."""
        alpha = self.alphas_cumprod[t]
        return alpha / (1 - alpha)

    def to_zero_terminal(self) -> NoiseSchedule:
        """The schedule that ends in pure noise (Lin et al. 2024, algorithm 1); one that does already is unchanged."""
        return NoiseSchedule(_end_in_pure_noise(self.alphas_cumprod), self.prediction)

    def _coefficients(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        alpha = self.alphas_cumprod[t].view(-1, *([1] * (like.dim() - 1)))
        return alpha.sqrt(), (1 - alpha).sqrt()


def schedule_from_config(config: Mapping[str, Any]) -> NoiseSchedule:
    """The schedule of a diffusers `scheduler_config.json`. Raises BaseError on forms we do not know.

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
    return NoiseSchedule(alphas_cumprod, prediction)


def _end_in_pure_noise(alphas_cumprod: Tensor) -> Tensor:
    """Shift sqrt(alpha-bar) so that the last is 0 and rescale so that the first stays."""
    signal = alphas_cumprod.sqrt()
    first, last = signal[0].clone(), signal[-1].clone()
    return ((signal - last) * first / (first - last)) ** 2
