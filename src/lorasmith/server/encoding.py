"""Pictures as bytes: PNG, small JPEG, data URL."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def png_bytes(image: Image) -> bytes:
    """A PNG without a word of what is on it."""
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


def encode_anew(png: bytes, format: str) -> bytes:
    """A drawn picture's PNG as "JPEG" or "WEBP", with what it says of itself. Raises UsageError."""
    from PIL import Image as Pillow

    from lorasmith.generation.infotext import INFOTEXT_KEY
    from lorasmith.generation.pictures import DOCUMENT_KEY, encode_with_exif

    with Pillow.open(io.BytesIO(png)) as image:
        document = image.info.get(DOCUMENT_KEY)
        ascii_only = None if document is None else json.dumps(json.loads(document))
        return encode_with_exif(image.convert("RGB"), image.info.get(INFOTEXT_KEY, ""), ascii_only, format)


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
