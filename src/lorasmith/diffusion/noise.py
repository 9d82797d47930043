"""Randomness as a function: a draw depends on its key alone, not on what was drawn before.

A key is what the draw is for, e.g. (seed, epoch, item, visit, "noise"). So a run does not depend on the number of
workers or on where it was interrupted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def key_number(*key: int | str) -> int:
    """A 64-bit number from a key: SHA-256 over its parts with their types and lengths, so no two keys meet."""
    digest = hashlib.sha256()
    for part in key:
        text = str(part).encode()
        digest.update(f"{type(part).__name__}:{len(text)}:".encode() + text)
    return int.from_bytes(digest.digest()[:8], "little")


def key_generator(*key: int | str) -> torch.Generator:
    """A CPU generator that is a function of `key`."""
    return torch.Generator().manual_seed(key_number(*key))


@dataclass(frozen=True)
class NoiseForm:
    """What is added to a row's normal noise; 0 is off. All as sd-scripts does it, for one row at a time.

    `offset`: one more normal number per channel, times this (R4: 0.1; lets a model learn overall brightness);
    `offset_random`: times a uniform number of [0, 1) too; `offset_adaptive`: the strength grows by this times the
    latent's mean size per channel, never below 0. `multires_iterations` coarser and coarser layers, the i-th times
    `multires_discount` ** i, then divided by the sum's own standard deviation. `ip_gamma`: input perturbation (Ning et
    al. 2023): the picture gets so much more noise than the model is asked for; `ip_random`: times uniform noise.
    """

    offset: float = 0.0
    offset_random: bool = False
    offset_adaptive: float = 0.0
    multires_iterations: int = 0
    multires_discount: float = 0.3
    ip_gamma: float = 0.0
    ip_random: bool = False

    def draw(self, x_0: Tensor, generator: torch.Generator) -> Tensor:
        """The noise for a clean latent (C, ..., H, W), of its shape."""
        noise = torch.randn(tuple(x_0.shape), generator=generator)
        if self.offset or self.offset_adaptive:
            strength = torch.tensor(self.offset)
            if self.offset_random:
                strength = strength * torch.rand((), generator=generator)
            strength = offset_strength(x_0, strength, self.offset_adaptive)
            noise += strength * torch.randn((x_0.shape[0], *[1] * (x_0.dim() - 1)), generator=generator)
        if self.multires_iterations:
            noise = add_coarse_noise(noise, self.multires_iterations, self.multires_discount, generator)
        return noise

    def perturb(self, x_0: Tensor, generator: torch.Generator) -> Tensor | None:
        """What the picture gets besides its noise, of its shape; None without input perturbation."""
        if not self.ip_gamma:
            return None
        strength = self.ip_gamma
        if self.ip_random:
            strength *= float(torch.rand((), generator=generator))
        return strength * torch.randn(tuple(x_0.shape), generator=generator)


def offset_strength(x_0: Tensor, strength: Tensor, adaptive: float) -> Tensor:
    """The offset's strength () or, when it adapts to the latent's channels, (C, 1, ...)."""
    if not adaptive:
        return strength
    return (strength + adaptive * x_0.mean(dim=tuple(range(1, x_0.dim())), keepdim=True).abs()).clamp(min=0.0)


def add_coarse_noise(noise: Tensor, iterations: int, discount: float, generator: torch.Generator) -> Tensor:
    """Multi-resolution (pyramid) noise: (C, H, W) of about unit variance.

    The i-th layer is 1 / r ** i of the size, r uniform in [2, 4) and drawn anew each time; a layer with a side of one
    element is the last.
    """
    C, H, W = noise.shape
    for i in range(iterations):
        r = 2 + 2 * float(torch.rand((), generator=generator))
        h, w = max(1, int(H / r**i)), max(1, int(W / r**i))
        coarse = torch.randn((1, C, h, w), generator=generator)
        noise = noise + F.interpolate(coarse, size=(H, W), mode="bilinear")[0] * discount**i
        if h == 1 or w == 1:
            break
    return noise / noise.std()
