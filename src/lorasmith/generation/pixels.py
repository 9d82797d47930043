"""Between pixels, pictures and latents: how an image is brought to a size, and latents to pixels' numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lorasmith.generation.spec import Resize


def to_image(pixels_1CHW: Tensor) -> Image.Image:
    """Pixels in [-1, 1] to a picture."""
    whole = pixels_1CHW[0].add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(whole.permute(1, 2, 0).cpu().contiguous().numpy())


def fit_image(
    image: Image.Image,
    size: tuple[int, int],
    resize: Resize,
    resample: Image.Resampling = Image.Resampling.LANCZOS,
) -> Image.Image:
    """The image at `size`: "stretch" changes its shape, "crop" cuts the middle out, "fill" repeats its edges."""
    if image.size == size:
        return image
    across, down = size[0] / image.width, size[1] / image.height
    if resize == "stretch" or across == down:
        return image.resize(size, resample)
    scale = max(across, down) if resize == "crop" else min(across, down)
    scaled = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), resample)
    left, top = (size[0] - scaled.width) // 2, (size[1] - scaled.height) // 2
    if resize == "crop":
        return scaled.crop((-left, -top, size[0] - left, size[1] - top))
    canvas = Image.new(image.mode, size)
    for edge, at, room in (
        ((0, 0, 1, scaled.height), (0, top), (left, scaled.height)),
        ((scaled.width - 1, 0, scaled.width, scaled.height), (left + scaled.width, top), (size[0], scaled.height)),
        ((0, 0, scaled.width, 1), (left, 0), (scaled.width, top)),
        ((0, scaled.height - 1, scaled.width, scaled.height), (left, top + scaled.height), (scaled.width, size[1])),
    ):
        if room[0] and room[1]:
            canvas.paste(scaled.crop(edge).resize(room, Image.Resampling.NEAREST), at)
    canvas.paste(scaled, (left, top))
    return canvas


def cover_latents(z: Tensor, size: Sequence[int], mode: str, antialias: bool) -> Tensor:
    """Latents (B, C, ..., H, W) made larger until they cover `size` (height, width), and cut to it."""
    height, width = z.shape[-2:]
    scale = max(size[0] / height, size[1] / width)
    to = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
    larger = F.interpolate(z.flatten(1, -3), size=to, mode=mode, **({"antialias": True} if antialias else {}))
    top, left = (to[0] - size[0]) // 2, (to[1] - size[1]) // 2
    return larger.reshape(*z.shape[:-2], *to)[..., top : top + size[0], left : left + size[1]]
