"""Small pictures made of a seed: drawings on white, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def draw(seed: int, size: tuple[int, int] = (256, 256)) -> Image.Image:
    """Twelve sharp coloured shapes on white; each seed draws a different picture."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        left, right = sorted(int(x) for x in random.integers(0, size[0], 2))
        top, bottom = sorted(int(y) for y in random.integers(0, size[1], 2))
        red, green, blue = (int(c) for c in random.integers(0, 256, 3))
        pen.rectangle((left, top, right, bottom), fill=(red, green, blue))
    return image


def save_drawings(folder: Path, count: int, first_seed: int = 0, caption: str | None = None) -> list[Path]:
    """`count` different PNG drawings named by their seed, each with a caption if one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{seed:03}.png" for seed in range(first_seed, first_seed + count)]
    for seed, file in enumerate(files, start=first_seed):
        draw(seed, (64, 64)).save(file)
        if caption is not None:
            file.with_suffix(".txt").write_text(caption, "utf-8")
    return files
