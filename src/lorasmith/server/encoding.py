"""Pictures as bytes: PNG, small JPEG, data URL."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def png_bytes(image: Image) -> bytes:
    """A PNG without a word of what is on it."""
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


def jpeg_bytes(image: Image, side: int | None = None) -> bytes:
    """A JPEG, no larger than `side` pixels a side."""
    from PIL import Image as Pillow

    small = image.convert("RGB")
    if side is not None:
        small.thumbnail((side, side), Pillow.Resampling.BOX)
    held = io.BytesIO()
    small.save(held, "JPEG", quality=85)
    return held.getvalue()


def jpeg_url(image: Image) -> str:
    """A picture as a data URL."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(image)).decode("ascii")
