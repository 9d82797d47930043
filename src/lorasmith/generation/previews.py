"""Small pictures of what is being drawn, cheap enough to be made while it is drawn."""

from __future__ import annotations

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.generation.pixels import to_image

# An autoencoder with fewer weights than this decodes in a fraction of a step.
SMALL = 5_000_000
SIDE = 512
_SAMPLES, _GRID = 24, 8


class Previewer:
    """From latents to a preview: a small autoencoder decodes; for a large one each latent pixel becomes a colour.

    The colours are a linear map, fitted once to what the autoencoder makes of smooth random latents.
    """

    def __init__(self, base: Base) -> None:
        self.base = base

    @torch.inference_mode()
    def draw(self, z: Tensor) -> Image.Image:
        """A preview of clean latents (1, C, ..., H, W), at most 512 pixels a side."""
        if self._decodes:
            image = to_image(self.base.decode_latents(z.to(self.base.dtype)).float())
            image.thumbnail((SIDE, SIDE))
            return image
        matrix, shift = self._colours
        pixels = torch.einsum("bchw,cd->bdhw", z.float().cpu().flatten(1, -3), matrix) + shift.view(1, 3, 1, 1)
        image = to_image(pixels)
        factor = min(self.base.vae_factor, max(1, SIDE // max(image.size)))
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC)

    @cached_property
    def _decodes(self) -> bool:
        weights: int = sum(weight.numel() for weight in self.base.vae.parameters())
        return weights < SMALL

    @cached_property
    def _colours(self) -> tuple[Tensor, Tensor]:
        """(C, 3) and (3,): least squares from latents to the mean colour of their pixels."""
        generator = torch.Generator().manual_seed(0)
        side = _GRID * self.base.vae_factor
        shape = self.base.latent_shape((side, side))
        rough = torch.randn(_SAMPLES, math.prod(shape[:-2]), 2, 2, generator=generator)
        z = F.interpolate(rough, size=shape[-2:], mode="bicubic")
        latents = z.view(_SAMPLES, *shape).to(self.base.dtype)
        decoded = torch.cat([self.base.decode_latents(part).float().cpu() for part in torch.split(latents, 4)])
        colours = F.avg_pool2d(decoded, self.base.vae_factor)
        known = torch.cat([z, torch.ones_like(z[:, :1])], dim=1).permute(0, 2, 3, 1).flatten(0, 2)
        found = torch.linalg.lstsq(known, colours.permute(0, 2, 3, 1).flatten(0, 2)).solution
        return found[:-1], found[-1]
