"""Randomness as a function: a draw depends on its key alone, not on what was drawn before.

A key is what the draw is for, e.g. (seed, epoch, item, visit, "noise"). So a run does not depend on the number of
workers or on where it was interrupted.
"""

from __future__ import annotations

import hashlib

import torch
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


def draw_noise(shape: tuple[int, ...], generator: torch.Generator, offset: float = 0.0) -> Tensor:
    """Standard normal noise (C, H, W), plus `offset` times one normal number per channel.

    The offset is kohya's noise offset: it lets a model learn overall brightness (R4: 0.1).
    """
    noise = torch.randn(shape, generator=generator)
    if offset:
        noise += offset * torch.randn((shape[0], 1, 1), generator=generator)
    return noise


def draw_timestep(steps: int, generator: torch.Generator) -> int:
    """A timestep, uniform in [0, steps)."""
    return int(torch.randint(0, steps, (), generator=generator))
