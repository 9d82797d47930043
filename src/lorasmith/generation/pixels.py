"""Between pixels, pictures and latents."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def to_image(pixels_1CHW: Tensor) -> Image.Image:
    """Pixels in [-1, 1] to a picture."""
    whole = pixels_1CHW[0].add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(whole.permute(1, 2, 0).cpu().contiguous().numpy())


def cover_latents(z: Tensor, size: Sequence[int], mode: str, antialias: bool) -> Tensor:
    """Latents (B, C, ..., H, W) made larger until they cover `size` (height, width), and cut to it."""
    height, width = z.shape[-2:]
    scale = max(size[0] / height, size[1] / width)
    to = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
    larger = F.interpolate(z.flatten(1, -3), size=to, mode=mode, **({"antialias": True} if antialias else {}))
    top, left = (to[0] - size[0]) // 2, (to[1] - size[1]) // 2
    return larger.reshape(*z.shape[:-2], *to)[..., top : top + size[0], left : left + size[1]]
