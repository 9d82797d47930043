"""The first noise of a picture: a function of its seed, drawn on the CPU as the A1111 web UI's CPU source does."""

from __future__ import annotations

import torch
from torch import Tensor

from lorasmith.generation.spec import Variation

_ALMOST_PARALLEL = 0.9995


def first_noise(
    shape: tuple[int, ...], seed: int, variation: Variation | None = None
) -> tuple[Tensor, torch.Generator]:
    """Unit noise (1, *shape) for latents (C, ..., H, W), and the seed's generator behind it, for later steps' noise."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(shape, generator=generator)
    if variation is not None and variation.strength > 0:
        other = torch.randn(shape, generator=torch.Generator().manual_seed(variation.seed))
        noise = turn(noise, other, variation.strength)
    return noise.unsqueeze(0), generator


def turn(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Spherical interpolation (Shoemake 1985) of (C, ..., H, W), each column of H alone, as the web UI's variations."""
    omega = torch.acos((_unit(start) * _unit(end)).sum(-2).clamp(-1, 1))
    if float(omega.cos().mean()) > _ALMOST_PARALLEL:
        return (1 - share) * start + share * end
    sine = omega.sin()
    of_start, of_end = (((each * omega).sin() / sine).unsqueeze(-2) for each in (1 - share, share))
    return of_start * start + of_end * end


def _unit(noise: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(noise, dim=-2, keepdim=True)
    return noise / length
