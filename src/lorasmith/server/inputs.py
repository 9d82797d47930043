"""Pictures that clients send, as base64: decoded without trust, kept by the hash of their pixels. No address is ever
fetched."""

from __future__ import annotations

import base64
import binascii
import io
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lorasmith.errors import ImageError
from lorasmith.server.errors import FieldError

if TYPE_CHECKING:
    from PIL.Image import Image

    from lorasmith.server.input_files import RequestInputs

_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)
_ADDRESS = re.compile(r"\s*(?:https?|ftp|file|//)[:/]", re.IGNORECASE)


def decode_base64(text: str, where: str) -> bytes:
    """The bytes of a base64 text with or without a ``data:`` head. Raises FieldError; addresses are not fetched."""
    if _ADDRESS.match(text):
        raise FieldError("addresses are not fetched.", where=where, hint="Send the picture itself as base64.")
    head = _DATA_URL.match(text)
    try:
        return base64.b64decode(text[head.end() :] if head else text, validate=True)
    except (binascii.Error, ValueError):
        raise FieldError(f"not base64: {text[:24]!r} ...", where=where) from None


def open_bytes(data: bytes, where: str, most_pixels: int) -> Image:
    """A picture, upright and RGB. Raises FieldError for what is none, or too large."""
    from lorasmith.images.opening import open_rgb, opened

    with tempfile.NamedTemporaryFile(suffix=".picture") as held:
        held.write(data)
        held.flush()
        path = Path(held.name)
        try:
            with opened(path) as image:
                pixels = image.width * image.height
            if pixels > most_pixels:
                raise FieldError(f"{pixels} pixels, the most are {most_pixels}.", where=where)
            return open_rgb(path)
        except ImageError as error:
            raise FieldError(error.message, where=where, hint=error.hint) from None


def keep_input(inputs: RequestInputs, text: str, where: str, most_pixels: int) -> str:
    """Keep a picture that a client sent; gives the hash that specs name it by."""
    if text not in inputs.known:
        inputs.known[text] = keep_image(inputs, open_bytes(decode_base64(text, where), where, most_pixels))
    return inputs.known[text]


def keep_image(inputs: RequestInputs, image: Image) -> str:
    """Keep a picture; gives the hash that specs name it by."""
    held = io.BytesIO()
    image.save(held, "PNG", compress_level=1)
    return inputs.keep(held.getvalue())
