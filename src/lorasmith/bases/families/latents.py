"""Pictures to latents and back with the VAEs of diffusers; scale and shift are scalars, or a number per channel.
Shapes: B rows, C channels, F frames, H and W."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def encode(vae: Any, pixels: Tensor) -> Tensor:
    """Pixels in [-1, 1] (B, 3, H, W), or (B, 3, F, H, W) for a VAE of films, to scaled latents; the mode."""
    encoded = vae.encode(pixels)
    z = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
    scale, shift = scaling(vae, z)
    return (z - shift) * scale  # type: ignore[no-any-return]


def decode(vae: Any, latents: Tensor) -> Tensor:
    """Scaled latents to pixels, about [-1, 1]."""
    scale, shift = scaling(vae, latents)
    return vae.decode(latents / scale + shift).sample  # type: ignore[no-any-return]


def scaling(vae: Any, like: Tensor) -> tuple[float | Tensor, float | Tensor]:
    """What latents are multiplied by after `shift` was taken away: of the VAE's configuration, per channel (shaped to
    go beside `like`) where it has means and deviations."""
    config = vae.config
    means, deviations = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if means is not None and deviations is not None:
        shape = (1, -1, *(1,) * (like.ndim - 2))
        mean, deviation = (torch.tensor(each, dtype=like.dtype, device=like.device) for each in (means, deviations))
        return 1 / deviation.view(shape), mean.view(shape)
    return float(config.scaling_factor), float(getattr(config, "shift_factor", None) or 0.0)
