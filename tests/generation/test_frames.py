"""Latents with a frame axis (B, C, F, H, W), as those of video autoencoders, go the way of the others."""

from __future__ import annotations

import torch

from lorasmith.diffusion.noise import NoiseForm, key_generator
from lorasmith.generation.noise import first_noise
from lorasmith.generation.pixels import cover_latents
from lorasmith.generation.spec import Variation


def test_a_frame_s_noise_is_that_of_the_picture() -> None:
    """One frame more in the shape changes no number."""
    for variation in (None, Variation(2, 0.3)):
        flat, _ = first_noise((4, 8, 8), 1, variation)
        framed, _ = first_noise((4, 1, 8, 8), 1, variation)
        assert framed.shape == (1, 4, 1, 8, 8)
        assert torch.equal(framed[:, :, 0], flat)


def test_latents_with_frames_are_made_larger() -> None:
    z = torch.randn(1, 4, 2, 8, 6, generator=key_generator(0))
    larger = cover_latents(z, (16, 14), "bilinear", True)
    assert larger.shape == (1, 4, 2, 16, 14)
    for frame in range(2):
        assert torch.equal(larger[:, :, frame], cover_latents(z[:, :, frame], (16, 14), "bilinear", True))


def test_noise_of_a_row_with_frames() -> None:
    x_0 = torch.randn(4, 1, 8, 8, generator=key_generator(0))
    form = NoiseForm(offset=0.1, offset_adaptive=0.5, ip_gamma=0.1)
    framed, flat = form.draw(x_0, key_generator(1)), form.draw(x_0[:, 0], key_generator(1))
    assert torch.equal(framed[:, 0], flat)
    assert form.perturb(x_0, key_generator(1)) is not None
