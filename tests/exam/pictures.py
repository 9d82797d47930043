"""Small drawings, and the same as a burnt adapter draws them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw


def drawing(seed: int, side: int = 128) -> Image.Image:
    """A round head on shoulders before a plain background, colours and places by the seed."""
    random = np.random.default_rng(seed)

    def colour() -> tuple[int, int, int]:
        red, green, blue = (int(value) for value in random.integers(40, 215, 3))
        return red, green, blue

    image = Image.new("RGB", (side, side), colour())
    pen = ImageDraw.Draw(image)
    x, y, r = (int(random.integers(52, 76)), int(random.integers(44, 64)), int(random.integers(26, 40)))
    pen.ellipse((x - r - 12, y + r, x + r + 12, side + 40), fill=colour())
    pen.ellipse((x - r, y - r, x + r, y + r), fill=colour())
    pen.pieslice((x - r, y - r - 4, x + r, y + r - 8), 180, 360, fill=colour())
    for side_of in (-1, 1):
        pen.ellipse((x + side_of * 12 - 3, y - 4, x + side_of * 12 + 3, y + 4), fill=(20, 20, 30))
    pen.arc((x - 12, y + 2, x + 12, y + 20), 20, 160, fill=(20, 20, 30), width=3)
    return image


def burnt(image: Image.Image, seed: int) -> Image.Image:
    """Colours driven to their ends and cracked, as far too strong an adapter does."""
    random = np.random.default_rng(seed)
    pixels = np.asarray(image, np.float32)
    mean = pixels.mean(2, keepdims=True)
    hot = np.clip(mean + (pixels - mean) * 9, 0, 255)
    hot = np.clip((hot - 128) * 2.5 + 128, 0, 255)
    cracks = random.random(pixels.shape[:2]) < 0.04
    hot[cracks] = 255 - hot[cracks]
    return Image.fromarray(hot.astype(np.uint8))


def mottled(image: Image.Image, seed: int) -> Image.Image:
    """Soft blots of another light all over it, no plain part left, as two adapters that are far too strong draw."""
    random = np.random.default_rng(seed)
    blots = Image.fromarray(np.clip(random.normal(128, 60, (16, 16, 3)), 0, 255).astype(np.uint8))
    large = np.asarray(blots.resize(image.size, Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + large - 128, 0, 255).astype(np.uint8))


def noisy(image: Image.Image, seed: int) -> Image.Image:
    """With the grain of a picture whose noise was not taken away."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 25, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))
