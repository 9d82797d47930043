"""From a picture's own size to its bucket."""

from __future__ import annotations

from PIL import Image


def fit(image: Image.Image, resized: tuple[int, int], bucket: tuple[int, int]) -> Image.Image:
    """Resize to `resized`, then cut `bucket` out of the middle; both (width, height) in pixels.

    Shrinks by area and enlarges by Lanczos, and cuts with offset trim // 2, as kohya's trainer does.
    Raises ValueError when `resized` does not cover `bucket`.
    """
    width, height = resized
    if width < bucket[0] or height < bucket[1]:
        raise ValueError(f"resized {resized} does not cover the bucket {bucket}")
    if image.size != resized:
        shrinks = width <= image.width and height <= image.height
        image = image.resize(resized, Image.Resampling.BOX if shrinks else Image.Resampling.LANCZOS)
    left, top = (width - bucket[0]) // 2, (height - bucket[1]) // 2
    return image.crop((left, top, left + bucket[0], top + bucket[1]))
