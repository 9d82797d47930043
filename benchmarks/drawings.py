"""Pictures made of a seed, for benchmarks: drawn heads and figures on white, shapes, and grainy scenes."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw


def drawn_head(seed: int, side: int = 512) -> Image.Image:
    """A head and shoulders on white (or, one in five, on a colour): shape, colours, hair and expression by the seed."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (512, 512), "white" if random.random() < 0.8 else _colour(random, 120))
    pen = ImageDraw.Draw(image)
    skin, hair, iris, cloth = _colour(random, 100), _colour(random), _colour(random), _colour(random)
    wide, high = int(random.integers(95, 150)), int(random.integers(120, 170))
    x, y = 256 + int(random.integers(-30, 31)), 230 + int(random.integers(-25, 26))
    length = int(random.integers(0, 200))
    pen.rounded_rectangle((x - wide - 30, y - high - 30, x + wide + 30, y + length), 90, fill=hair)
    pen.rounded_rectangle((x - 170, y + high - 10, x + 170, 560), int(random.integers(10, 80)), fill=cloth)
    pen.ellipse((x - wide, y - high, x + wide, y + high), fill=skin)
    if random.random() < 0.6:
        pen.pieslice((x - wide, y - high - 20, x + wide, y + int(random.integers(0, 90))), 180, 360, fill=hair)
    size, apart = int(random.integers(12, 30)), int(random.integers(40, 65))
    for eye in (x - apart, x + apart):
        if random.random() < 0.8:
            pen.ellipse((eye - size, y - 14, eye + size, y + 14), fill="white", outline="black", width=3)
            pen.ellipse((eye - 9, y - 11, eye + 9, y + 11), fill=iris)
        else:
            pen.line((eye - size, y + 4, eye + size, y + 4), fill="black", width=5)
    mouth, lips = int(random.integers(15, 45)), _colour(random)
    if random.random() < 0.5:
        pen.arc((x - mouth, y + 40, x + mouth, y + 40 + mouth), 20, 160, fill=lips, width=6)
    else:
        pen.ellipse((x - mouth, y + 55, x + mouth, y + 55 + mouth // 2), fill=lips)
    return image if side == 512 else image.resize((side, side), Image.Resampling.LANCZOS)


def scene(seed: int, size: tuple[int, int], grain: float = 1.5) -> Image.Image:
    """Soft colours, sixty sharp ellipses and some grain: about as hard to decode as a drawn or filmed scene."""
    random = np.random.default_rng(seed)
    width, height = size
    image = Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, across = int(random.integers(0, width)), int(random.integers(0, height)), int(random.integers(10, 200))
        pen.ellipse((x, y, x + across, y + across // 2 + 3), fill=_colour(random))
    noise = random.normal(0, grain, (height, width, 1))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def _colour(random: np.random.Generator, low: int = 0) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(low, 256, 3))
    return red, green, blue
