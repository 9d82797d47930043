"""How an image is brought to a size. Importable without torch."""

from __future__ import annotations

from PIL import Image

from lorasmith.generation.spec import Resize


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
